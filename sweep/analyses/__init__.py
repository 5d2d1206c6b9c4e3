"""Optional analyses of a sweep. All other code loops over ``ANALYSES`` and is independent of them.

May import ``sweep.spec``, ``sweep.plan`` and ``sweep.state``. To add one, subclass
`sweep.analyses.base.Analysis` in a file here and add the object to ``ANALYSES``. If it has
settings, give them a key in ``sweep.spec.schema.Spec``; if it has figures, add a section to the
report.
"""

from collections.abc import Mapping

import pandas as pd

from jobs.models import ModelInfo
from sweep.analyses.base import Analysis
from sweep.analyses.beyond import BEYOND
from sweep.analyses.joint_cca import JOINT_CCA
from sweep.analyses.learning import LEARNING
from sweep.analyses.similarity import SIMILARITY
from sweep.analyses.tempo import TEMPO
from sweep.plan.make_plan import make_plan
from sweep.plan.plan import Plan
from sweep.spec.schema import Spec

ANALYSES: tuple[Analysis, ...] = (TEMPO, JOINT_CCA, BEYOND, LEARNING, SIMILARITY)


def plan_run(spec: Spec, table: pd.DataFrame, models: Mapping[str, ModelInfo]) -> Plan:
    """Lay out a spec with all of its analyses; see ``sweep.plan.make_plan.make_plan``."""
    plan = make_plan(spec, table, models)
    for analysis in ANALYSES:
        plan = analysis.extend_plan(plan, spec, table)
    return plan


def table_columns(spec: Spec) -> list[str]:
    """Names of the targets of a spec, and of those that only its analyses need as columns."""
    return list(dict.fromkeys([*spec.targets, *(n for one in ANALYSES for n in one.columns(spec))]))


def extraction_table(plan: Plan, table: pd.DataFrame) -> pd.DataFrame:
    """``table`` with the rows that analyses add: every utterance that is extracted."""
    added = [rows for one in ANALYSES if (rows := one.extra_rows(plan, table)) is not None]
    return pd.concat([table, *added], ignore_index=True) if added else table
