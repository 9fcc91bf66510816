from .aggregates import percentile_interval, t_boot_interval
from .compare import compare_scores
from .comparison import ScoreComparison
from .looks import e_value, look_levels
from .metrics import ScoreMetrics, compare_metrics
from .over_tasks import ScoreTasks, compare_tasks
from .planning import ScorePlan, plan_scores
from .prior import Prior, atlas, atlas_prior, fit_prior
from .ranked_metrics import ScoreRankings, rank_metrics
from .ranking import ScoreRanking, rank_scores
from .summary import RunScores, run_scores
from .two_groups import ScoreModes, score_modes

__all__ = [
    "Prior",
    "RunScores",
    "ScoreComparison",
    "ScoreMetrics",
    "ScoreModes",
    "ScorePlan",
    "ScoreRanking",
    "ScoreRankings",
    "ScoreTasks",
    "atlas",
    "atlas_prior",
    "compare_metrics",
    "compare_scores",
    "compare_tasks",
    "e_value",
    "fit_prior",
    "look_levels",
    "percentile_interval",
    "plan_scores",
    "rank_metrics",
    "rank_scores",
    "run_scores",
    "score_modes",
    "t_boot_interval",
]
