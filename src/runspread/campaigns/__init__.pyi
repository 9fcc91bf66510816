from .attempts import Attempt
from .gates import Gate
from .ledger import Ledger
from .merging import merge_ledgers
from .opening import GateSettings
from .seeds import SeedToRun

__all__ = ["Attempt", "Gate", "GateSettings", "Ledger", "SeedToRun", "merge_ledgers"]
