"""The methods, one file each; a plain table of what the rest of the house must know of one before it is imported.

What needs torch it says in its file: `Config`, `PRESETS`, `search`, and of a supernet's search `WORK` and `CARRIED`.
"""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from dartboard import plugins
from dartboard.config import Idle
from dartboard.errors import InputError, unknown
from dartboard.plugins import Table
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import SearchSpace


@dataclass(frozen=True)
class Method:
    """what: it is, in words; source: its papers. needs: what a space's supernet must be able to compute for it, of
    search_space.KINDS. by_trials: it scores architectures one by one, and its Config is a search.trials.Settings;
    other methods train a supernet. space: the one it searches if none is given. spoken: what people call it in a
    sentence; empty: by its name. scored_by: what its supernet computes where the validation accuracy is measured, in
    words. carries: what another search can take from it, the words of --carry; its file says in CARRIED what each is.
    draws: its steps compute one operation an edge, though it needs mixtures. module: the path of its file;
    empty: of its name in this folder. limits: it trains a supernet and holds what it finds to --limit; its file has
    `check`, which refuses a limit that nothing is within."""

    what: str
    source: str
    needs: frozenset[str] = frozenset()
    by_trials: bool = False
    space: str = "darts"
    spoken: str = ""
    scored_by: str = "all operations mixed"
    draws: bool = False
    module: str = ""
    limits: bool = False
    carries: tuple[str, ...] = ("weights",)


OURS: dict[str, Method] = {
    "darts": Method(
        "differentiable search over a relaxed cell, first and second order",
        "Liu, Simonyan, Yang: DARTS, ICLR 2019 (arXiv 1806.09055); quark0/darts",
        needs=frozenset({"mixture"}),
        limits=True,
        spoken="DARTS",
        carries=("weights", "alphas"),
    ),
    "enas": Method(
        "a controller draws architectures that share a supernet's weights; the two are trained in turn",
        "Pham, Guan, Zoph, Le, Dean, ICML 2018 (arXiv 1802.03268); melodyguan/enas; settings of NAS-Bench-201",
        needs=frozenset({"path"}),
        limits=True,
        space="nasbench201",
        spoken="ENAS",
    ),
    "gdas": Method(
        "one operation drawn an edge by a hard Gumbel sample, alpha learned straight through it",
        "Dong, Yang, CVPR 2019 (arXiv 1910.04465); D-X-Y/AutoDL-Projects",
        needs=frozenset({"mixture"}),
        limits=True,
        spoken="GDAS",
        scored_by="cells drawn by alpha, one a batch",
        draws=True,
        carries=("weights", "alphas"),
    ),
    "random_search": Method(
        "architectures drawn at random, scored by a table, by shared weights or by trainings",
        "Bergstra, Bengio, JMLR 13 (2012); Li, Talwalkar, UAI 2019 (arXiv 1902.07638)",
        by_trials=True,
    ),
    "random_search_ws": Method(
        "a supernet trained by random architectures, one a minibatch; the best of many by its weights",
        "Li, Talwalkar, UAI 2019 (arXiv 1902.07638); liamcli/randomNAS_release",
        needs=frozenset({"path"}),
        limits=True,
        spoken="random search with weight sharing",
    ),
    "spos": Method(
        "a supernet trained by single paths, drawn uniformly; an evolution by its weights, under a limit on the cost",
        "Guo et al.: Single Path One-Shot, ECCV 2020 (arXiv 1904.00420); megvii-model/SinglePathOneShot",
        needs=frozenset({"path"}),
        limits=True,
        spoken="SPOS",
    ),
    "bignas": Method(
        "a supernet whose parts are good as they are: the largest learns from labels, others from its answers",
        "Yu et al., ECCV 2020 (arXiv 2003.11142); numbers of AttentiveNAS, CVPR 2021 (arXiv 2011.09011)",
        needs=frozenset({"slice"}),
        limits=True,
        space="bignas",
        spoken="BigNAS",
    ),
    "ofa": Method(
        "a supernet trained from its largest network to smaller ones, sort by sort of choice, by distillation",
        "Cai et al.: Once-for-All, ICLR 2020 (arXiv 1908.09791); mit-han-lab/once-for-all",
        needs=frozenset({"slice"}),
        limits=True,
        space="ofa",
        spoken="Once-for-All",
    ),
    "regularized_evolution": Method(
        "an aging population: the best of a few members has a child, the oldest member is removed",
        "Real, Aggarwal, Huang, Le, AAAI 2019 (arXiv 1802.01548); settings of NAS-Bench-201",
        by_trials=True,
        spoken="regularized evolution",
    ),
    "reinforce": Method(
        "a controller, of independent logits or an LSTM, that learns to draw what scores well",
        "Williams, Machine Learning 8 (1992); Zoph, Le, ICLR 2017 (arXiv 1611.01578); settings of NAS-Bench-201",
        by_trials=True,
        spoken="REINFORCE",
    ),
    "ppo": Method(
        "a controller that learns from each batch several times, in steps that are clipped",
        "Schulman et al., arXiv 1707.06347; Zoph et al., NASNet, CVPR 2018 (arXiv 1707.07012)",
        by_trials=True,
        spoken="PPO",
    ),
    "nas_rl": Method(
        "an LSTM that writes networks down layer by layer, their inputs by anchor points, deeper over time",
        "Zoph, Le: Neural Architecture Search with Reinforcement Learning, ICLR 2017 (arXiv 1611.01578)",
        by_trials=True,
        space="nas_rl",
        spoken="NAS with RL",
    ),
}


def of_package(name: str) -> dict[str, Method]:
    """The method of this name that a package declares. Raises InputError for one that cannot be used."""
    found = plugins.loaded(plugins.METHODS, name, Method)
    return {} if found is None else {name: found}


METHODS: dict[str, Method] = Table(OURS, of_package)


def method_module(method: str) -> ModuleType:
    """The file of a method. Raises InputError if that of a package cannot be imported."""
    if method in OURS:
        return import_module(f"dartboard.methods.{method}")
    return plugins.module_of(plugins.METHODS, method, METHODS[method].module)


def missing(method: str, space: str) -> frozenset[str]:
    """What the method needs and the space does not offer; empty for a pair that works."""
    return METHODS[method].needs - SPACES[space].kinds


def check_known(method: str, space: str, place: object) -> None:
    """Raises InputError for names in a folder's files that are not known here: their package may be gone."""
    for kind, name, table in (("method", method, METHODS), ("space", space, SPACES)):
        if name not in table:
            raise unknown(f"{kind} in {place}", str(name), table)


def check_pair(method: str, space: str) -> None:
    """Raises InputError for an unknown space, and for one that the method cannot search."""
    if space not in SPACES:
        raise unknown("space", space, plugins.names(plugins.FAMILIES, SPACES))
    if lacks := missing(method, space):
        able = ", ".join(name for name in SPACES if not missing(method, name))
        words = " and a ".join(sorted(lacks))
        fault = f"that of {space} does not" if SPACES[space].kinds else f"{space} has none"
        raise InputError(f"{method} needs a supernet that computes a {words}, {fault}; give {able}")


# --- What a method's file may say besides -----------------------------------------------------------------------------


def said(name: str, verb: str, config: Any, space: SearchSpace, otherwise: Any) -> Any:
    """What a function of the method's file gives for these settings on a space; `otherwise`, if it has no such one.

    Raises InputError as `method_module`.
    """
    own = getattr(method_module(name), verb, None)
    return otherwise if own is None else own(config, space)


def trained_space(name: str, config: Any, space: SearchSpace) -> SearchSpace:
    """The networks that a search trains: those of `trained_space` of its file, or all of the space."""
    return cast(SearchSpace, said(name, "trained_space", config, space, space))


def middle_space(name: str, config: Any, space: SearchSpace) -> SearchSpace:
    """What a trial in the middle of a search is drawn from: `middle` of its file, or the space."""
    return cast(SearchSpace, said(name, "middle", config, space, space))


def idle_settings(name: str, config: Any, space: SearchSpace) -> Idle:
    """Settings that change nothing beside the others: those of `idle` of its file, or none."""
    return cast(Idle, said(name, "idle", config, space, ()))
