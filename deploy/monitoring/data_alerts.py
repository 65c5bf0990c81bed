"""Alerts on the data itself: volume, prices, categories, and the monitor's expectations."""

from deploy.monitoring.alert import Alert


def _failed_share(expectation: str) -> str:
    """By topic and expectation; no value where less than a record in 10 seconds is checked."""
    failed, checked = (
        f"sum by (topic, expectation) (rate(liveshelf_data_{counter}_total{{{expectation}}}[@10m@]))"
        for counter in ("failed", "checked")
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
        "Events of one type are below 60 %, or above 300 %, of the same hour last week",
        "sum by (event_type) (rate(liveshelf_accepted_events_total[1h])): the shop's tracking may have changed;"
        " liveshelf dead-letters list",
    ),
    Alert(
        "DeadLetterSpike",
        'sum(rate(liveshelf_events_total{outcome="dead"}[@10m@])) > 0.01 * sum(rate(liveshelf_events_total[@10m@]))',
        "5m",
        "ticket",
        "The job refuses more than 1 % of the records",
        "liveshelf dead-letters list; sum by (reason) (rate(liveshelf_dead_letters_total[10m])): find the reason; liveshelf dead-letters replay --dry-run: when the cause is repaired",
    ),
    Alert(
        "CatalogueRefused",
        "max(liveshelf_catalogue_unreadable_items) > 0",
        "1m",
        "ticket",
        "The newest catalogue record of some items cannot be read. They keep their previous record, or count as missing from the catalogue",
        "liveshelf dead-letters list: shows the records; sum by (reason) (increase(liveshelf_catalogue_refused_total[1h]));"
        " liveshelf validate --catalogue FILE: shows the bad lines of a feed",
    ),
    Alert(
        "ShortLists",
        f"{FULL.format('failed')} > 0.05 * {FULL.format('checked')} and {FULL.format('failed')} > 5",
        "2m",
        "page",
        "More than 5 % of the lists have less than half of their items",
        "check whether the catalogue is delisted or sold out (liveshelf_catalogue_items, liveshelf_catalogue_unreadable_items);"
        " liveshelf lists USER: shows one list",
    ),
    Alert(
        "PricesDisagree",
        f"{_failed_share(PRICES)} > 0.05",
        "5m",
        "ticket",
        "More than 5 % of the prices disagree (a factor of 3, or another currency): events with the catalogue, or products with their previous price",
        "liveshelf profile: shows the prices; check whether a feed is in cents or in another currency",
    ),
    Alert(
        "CategoryMissing",
        f"0.1 * ({_category_share(LAST_WEEK)} > 0.02)"
        f" > on (category) ({_category_share()} or 0 * {_category_share(LAST_WEEK)})",
        "10m",
        "ticket",
        "A category has lost 90 % of its share of events since last week",
        "check that its items are in the catalogue, in stock, and on the site",
    ),
    Alert(
        "UnknownItems",
        f"{_failed_share(KNOWN)} > 0.2",
        "10m",
        "ticket",
        "More than 20 % of the events or lists name items that the catalogue does not hold",
        "check that the catalogue feed runs; check that events and catalogue use the same ids",
    ),
    Alert(
        "DataExpectationFails",
        f"{_failed_share(OTHERS)} > 0.05",
        "10m",
        "ticket",
        "More than 5 % of the records of a topic do not meet an expectation",
        "look up the expectation in docs/metrics.md; liveshelf profile: shows how often each is not met",
    ),
)
