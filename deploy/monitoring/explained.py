"""Which alerts explain others: the symptoms are silent while their cause fires."""

# a cause -> the alerts that it explains; the first that fires is the one to look at
EXPLAINS = {
    "BrokerDown": "ListsStopped|ShoppersWithoutFreshList|StorefrontNotFollowing|StaleCatalogue|TrainingRoundsFail|StorefrontErrorsBudgetBurn|"
    "StorefrontSlowBudgetBurn|CheckpointsFail|JobRestarts|JobNotRunning|VolumeAnomaly|CategoryMissing|DeadLetterSpike",
    "JobNotRunning": "ListsStopped|ShoppersWithoutFreshList|VolumeAnomaly|CategoryMissing",
    "JobManagerDown": "JobNotRunning",
    "ModelRefused": "FallbackSpike|ModelListsBudgetBurn",
    "StorefrontDown": "StorefrontErrorsBudgetBurn",
    "DiskFilling": "CheckpointsFail",
}
