from .settings import ComparingOptions, EvidenceOptions, PlanningOptions, RankingOptions, SummarisingOptions

__all__ = ["ComparingOptions", "EvidenceOptions", "PlanningOptions", "RankingOptions", "SummarisingOptions"]
