"""Search in a catalogue: analysis, index, spelling, fusion, filters, facets and the measures of its quality. No HTTP."""
