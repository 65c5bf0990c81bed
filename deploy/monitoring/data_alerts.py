"""Alerts on the data itself: volume, prices, categories, and the monitor's expectations."""

from deploy.monitoring.alert import Alert


def _failed_share(expectation: str) -> str:
    """By topic and expectation; no value where less than a record in 10 seconds is checked."""
    failed, checked = (
        f"sum by (topic, expectation) (rate(liveshelf_data_{what}_total{{{expectation}}}[@10m@]))"
        for what in ("failed", "checked")
    )
    return f"{failed} / ({checked} > 0.1)"


def _volume(offset: str = "") -> str:
    return f"sum by (event_type) (rate(liveshelf_accepted_events_total[@1h@]{offset}))"


def _category_share(offset: str = "") -> str:
    rate = f"rate(liveshelf_data_category_events_total[@1h@]{offset})"
    return f"(sum by (category) ({rate}) / scalar(sum({rate})))"


LAST_WEEK = " offset @1w@"
VOLUME_RATIO = f"{_volume()} / ({_volume(LAST_WEEK)} > 0.05)"
PRICES = 'expectation=~"price_agrees|price_steady"'
KNOWN = 'expectation="known_item"'
OTHERS = 'expectation!~"price_agrees|price_steady|known_item|full"'
FULL = 'sum(increase(liveshelf_data_{}_total{{expectation="full"}}[@10m@]))'

DATA_ALERTS = (
    Alert(
        "VolumeAnomaly",
        f"{VOLUME_RATIO} < 0.6 or {VOLUME_RATIO} > 3",
        "10m",
        "ticket",
        "Events of a type are less than 60 %, or more than three times, of the same hour of last week",
        "sum by (event_type) (rate(liveshelf_accepted_events_total[1h])): has the shop's tracking changed?"
        " liveshelf dead-letters list",
    ),
    Alert(
        "DeadLetterSpike",
        'sum(rate(liveshelf_events_total{outcome="dead"}[@10m@])) > 0.01 * sum(rate(liveshelf_events_total[@10m@]))',
        "5m",
        "ticket",
        "More than 1 % of the records are refused",
        "liveshelf dead-letters list; sum by (reason) (rate(liveshelf_dead_letters_total[10m]))",
    ),
    Alert(
        "CatalogueRefused",
        "max(liveshelf_catalogue_unreadable_items) > 0",
        "1m",
        "ticket",
        "The newest catalogue record of some items cannot be read: they keep the record before, or are as if not in the catalogue",
        "liveshelf dead-letters list shows the records; sum by (reason) (increase(liveshelf_catalogue_refused_total[1h]));"
        " liveshelf validate --catalogue FILE lists the lines of a feed",
    ),
    Alert(
        "ShortLists",
        f"{FULL.format('failed')} > 0.05 * {FULL.format('checked')} and {FULL.format('failed')} > 5",
        "2m",
        "page",
        "More than 5 % of the lists are empty, or have less than half of the items that they should",
        "is the catalogue delisted or sold out? liveshelf_catalogue_items, liveshelf_catalogue_unreadable_items;"
        " liveshelf lists USER shows one",
    ),
    Alert(
        "PricesDisagree",
        f"{_failed_share(PRICES)} > 0.05",
        "5m",
        "ticket",
        "Prices of events and of the catalogue differ by a factor of 3 or more, or are of another currency",
        "liveshelf profile shows the prices: a feed in cents, or in another currency?",
    ),
    Alert(
        "CategoryMissing",
        f"0.1 * ({_category_share(LAST_WEEK)} > 0.02)"
        f" > on (category) ({_category_share()} or 0 * {_category_share(LAST_WEEK)})",
        "10m",
        "ticket",
        "A category has lost nine tenths of its share of events since last week",
        "are its items still in the catalogue, in stock, and on the site?",
    ),
    Alert(
        "UnknownItems",
        f"{_failed_share(KNOWN)} > 0.2",
        "10m",
        "ticket",
        "More than a fifth of the events name items that the catalogue does not hold",
        "does the catalogue feed run? are the ids the same on both sides?",
    ),
    Alert(
        "DataExpectationFails",
        f"{_failed_share(OTHERS)} > 0.05",
        "10m",
        "ticket",
        "More than 5 % of the records of a topic miss an expectation",
        "docs/metrics.md says what each expects; liveshelf profile shows how often each is missed",
    ),
)
