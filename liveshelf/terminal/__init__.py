"""What all verbs share: output, options, errors as a person reads them."""
