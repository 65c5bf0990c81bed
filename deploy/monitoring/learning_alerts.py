"""Alerts on models: what serves, how old its weights are, and the trainer that keeps up."""

from deploy.monitoring.alert import Alert

_CLICKS = 'sum by (arm) (rate(liveshelf_slate_actions_total{event_type="click"}[@1d@]%s))'
_SHOWN = "sum by (arm) (rate(liveshelf_slate_impressions_total[@1d@]%s))"
LAST_WEEK = " offset @1w@"

LEARNING_ALERTS = (
    Alert(
        "ModelRefused",
        "min(liveshelf_model_info) == 0",
        "0s",
        "page",
        "The bundle failed a check on the TaskManager. If no other one serves, all users get fallbacks",
        "liveshelf models list: says which bundle; liveshelf bundle verify FOLDER: says which check;"
        " liveshelf models promote FOLDER: with another bundle",
    ),
    Alert(
        "StaleModel",
        "time() - max(liveshelf_model_trained_timestamp_seconds > 0) > 14 * 86400",
        "1h",
        "ticket",
        "The model's weights are older than 14 days",
        "liveshelf logs trainer: if it runs, says why no weights are promoted; liveshelf events --out FILE: fetch newer events;"
        " liveshelf train; liveshelf models promote FOLDER",
    ),
    Alert(
        "ClickThroughDropped",
        f"{_CLICKS % ''} / {_SHOWN % ''} < 0.5 * ({_CLICKS % LAST_WEEK} / {_SHOWN % LAST_WEEK})",
        "1h",
        "ticket",
        "Shoppers click less than half as often as a week ago",
        "liveshelf models list --json: changed_at says since when which bundle serves; liveshelf models rollback: if it began with that bundle",
    ),
    Alert(
        "WeightsNotPromoted",
        "time() - max(liveshelf_train_weights_timestamp_seconds > 0) > 3 * max(liveshelf_train_weights_every_seconds)"
        " and on () max(liveshelf_train_refused_rounds) >= 3",
        "5m",
        "ticket",
        "The trainer runs, and the gate has refused the weights of three rounds in a row. The model does not learn",
        "liveshelf logs trainer: each round's line has the gate's reasons; read them whole in trainer.work_dir,"
        " bundles/refused-VERSION.txt; liveshelf train; liveshelf models promote FOLDER: if the shop has changed for good",
    ),
    Alert(
        "TrainingRoundsFail",
        "max(liveshelf_train_failed_rounds) >= 3",
        "5m",
        "ticket",
        "Three rounds of the trainer failed in a row. The model does not learn",
        "liveshelf logs trainer: each round's line has the error; liveshelf models list: shows the champion that it goes on from",
    ),
    Alert(
        "TrainerLosesRecords",
        "sum(increase(liveshelf_train_lost_records_total[@1h@])) > 0",
        "0s",
        "ticket",
        "Records left the topics before the trainer read them. It never learns them",
        "liveshelf logs trainer: says since when it does not keep up; lengthen the retention of shop.events.v1 and shop.examples.v1",
    ),
)
