"""The papers that methods rest on, and which method rests on which: for captions, and as BibTeX."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ._checks import check_choice


@dataclass(frozen=True)
class Paper:
    """A publication.

    Attributes
    ----------
    key : str
        Name of its BibTeX entry.
    authors : tuple of str
        Each as "Family, Given".
    year : int
        Of publication.
    title : str
        Title.
    url : str
        Where it is read.
    where : str
        Journal, or conference; empty for what is on arXiv alone.
    kind : {"article", "inproceedings", "misc"}
        Kind of BibTeX entry.
    """

    key: str
    authors: tuple[str, ...]
    year: int
    title: str
    url: str
    where: str = ""
    kind: str = "inproceedings"

    @property
    def text(self) -> str:
        """Authors, year and title, as a caption has them."""
        family = [name.partition(",")[0] for name in self.authors]
        names = f"{family[0]} et al." if len(family) > 2 else " and ".join(family)
        return f"{names} {self.year}, {self.title}"

    def bibtex(self) -> str:
        """Return the BibTeX entry."""
        place = {"article": "journal", "inproceedings": "booktitle"}.get(self.kind)
        fields = {"title": f"{{{self.title}}}", "author": " and ".join(self.authors)}
        fields |= {place: self.where} if place else {}
        fields |= {"year": str(self.year)} | ({"url": self.url} if self.url else {})
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
        return "\n".join([f"@{self.kind}{{{self.key},", *lines, "}"])


_NIPS, _ICLR = (
    "Advances in Neural Information Processing Systems",
    "International Conference on Learning Representations",
)
_ICML = "International Conference on Machine Learning"
PAPERS = {
    paper.key: paper
    for paper in (
        Paper(
            "jordan2024variance",
            ("Jordan, Keller",),
            2024,
            "On the Variance of Neural Network Training with respect to Test Sets and Distributions",
            "https://arxiv.org/abs/2304.01910",
            _ICLR,
        ),
        Paper(
            "jiang2022disagreement",
            ("Jiang, Yiding", "Nagarajan, Vaishnavh", "Baek, Christina", "Kolter, J. Zico"),
            2022,
            "Assessing Generalization of SGD via Disagreement",
            "https://arxiv.org/abs/2106.13799",
            _ICLR,
        ),
        Paper(
            "banerjee2024variability",
            ("Banerjee, Sinjini", "Marrinan, Tim", "Cannon, Reilly", "Chiang, Tony", "Sarwate, Anand D."),
            2024,
            "Measuring model variability using robust non-parametric testing",
            "https://arxiv.org/abs/2406.08307",
            kind="misc",
        ),
        Paper(
            "martin2021simpson",
            ("Martin, Charles H.", "Mahoney, Michael W."),
            2021,
            "Post-mortem on a deep learning contest: a Simpson's paradox and the complementary roles of scale metrics "
            "versus shape metrics",
            "https://arxiv.org/abs/2106.00734",
            kind="misc",
        ),
        Paper(
            "hu2023latent",
            ("Hu, Michael Y.", "Chen, Angelica", "Saphra, Naomi", "Cho, Kyunghyun"),
            2023,
            "Latent State Models of Training Dynamics",
            "https://arxiv.org/abs/2308.09543",
            "Transactions on Machine Learning Research",
            "article",
        ),
        Paper(
            "caruana2004ensemble",
            ("Caruana, Rich", "Niculescu-Mizil, Alexandru", "Crew, Geoff", "Ksikes, Alex"),
            2004,
            "Ensemble Selection from Libraries of Models",
            "https://doi.org/10.1145/1015330.1015432",
            _ICML,
        ),
        Paper(
            "wenzel2020hyperparameter",
            ("Wenzel, Florian", "Snoek, Jasper", "Tran, Dustin", "Jenatton, Rodolphe"),
            2020,
            "Hyperparameter Ensembles for Robustness and Uncertainty Quantification",
            "https://arxiv.org/abs/2006.13570",
            _NIPS,
        ),
        Paper(
            "guo2017calibration",
            ("Guo, Chuan", "Pleiss, Geoff", "Sun, Yu", "Weinberger, Kilian Q."),
            2017,
            "On Calibration of Modern Neural Networks",
            "https://arxiv.org/abs/1706.04599",
            _ICML,
        ),
    )
}
SOFTWARE = Paper(
    "runspread",
    ("{The runspread developers}",),
    2026,
    "runspread: what differs between two trainings of the same network",
    "",
    kind="misc",
)
# Method, as it is called in Python and on the command line, or family of methods: papers that it rests on.
METHODS = {
    "variance": ("jordan2024variance",),
    "compare": ("jordan2024variance",),
    "plan": ("jordan2024variance",),
    "sources": ("jordan2024variance",),
    "calibration": ("jiang2022disagreement", "jordan2024variance"),
    "trimming": ("banerjee2024variability",),
    "representative_size": ("banerjee2024variability",),
    "same": ("banerjee2024variability",),
    "spectra": ("martin2021simpson",),
    "paradox": ("martin2021simpson",),
    "corpus": ("martin2021simpson",),
    "dynamics": ("hu2023latent",),
    "hmm": ("hu2023latent",),
    "ensemble": ("caruana2004ensemble",),
    "ensembles": ("caruana2004ensemble", "wenzel2020hyperparameter"),
    "ensemble_scores": ("guo2017calibration",),
    "hyper_deep_ensemble": ("wenzel2020hyperparameter", "caruana2004ensemble"),
    "audit": (),
    "rank": (),
    "summary": (),
    "scores": (),
    "gate": (),
    "evaluations": (),
}


def papers_of(method: str) -> tuple[Paper, ...]:
    """Return the papers that a method, or a family of methods, rests on; none where it is runspread's own."""
    name = check_choice(method.replace("-", "_"), "method", METHODS)
    return tuple(PAPERS[key] for key in METHODS[name])


def bibtex(papers: Iterable[Paper]) -> str:
    """Return the entries of some papers, each once, and that of runspread."""
    entries = [paper.bibtex() for paper in dict.fromkeys((*papers, SOFTWARE))]
    return "\n\n".join(entries) + "\n"
