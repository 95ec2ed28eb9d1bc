"""One command for each ablation: train what is missing, score it, write the table."""

from collections.abc import Sequence
from pathlib import Path

from tamis.mirror import write_whole
from tamis.training.ablation_recipe import Ablations
from tamis.training.ablation_runs import Runs, Say
from tamis.training.ablation_table import Finding, table

FOLDER = Path("recipes/ablations")


def ablate(
    names: Sequence[str],
    out: Path | str,
    folder: Path | str = FOLDER,
    seeds: int | None = None,
    say: Say = lambda line: None,
) -> str:
    """Answer the ablations `names`; returns their tables, which `out` keeps as `<name>.md`.

    Runs that `out` holds are not repeated, in whichever ablation they were made; a run that was
    killed goes on where it stopped. Seeds come one after the other, so what is there when time
    runs out is the whole comparison with fewer seeds.

    Args:
        names: of files in `folder`, without their suffix.
        out: folder of the runs, shared by all ablations.
        folder: the definitions.
        seeds: how many of the seeds at most.
        say: told what is trained.

    Raises:
        UnknownNameError: no ablation of a name.
        TamisError: see `tamis.training.preprocessor.train_preprocessor`.
    """
    ablations = Ablations(Path(folder))
    asked = {name: ablations[name] for name in names}
    runs = Runs(ablations, Path(out), say)
    for place in range(len(ablations.setup.seeds)):
        for ablation in asked.values():
            for side in ablation.sides:
                if place < len(chosen := ablations.seeds(side, seeds)):
                    runs.measure(side, chosen[place])
    plain = runs.plain()
    texts = []
    for name, ablation in asked.items():
        findings = [
            Finding(side, [runs.measure(side, seed) for seed in ablations.seeds(side, seeds)])
            for side in ablation.sides
        ]
        evaluation = ablations.setup.evaluation
        texts.append(table(name, ablation, plain, findings, runs.qualities, evaluation))
        write_whole(Path(out) / f"{name}.md", texts[-1].encode())
    return "\n".join(texts)


def report(out: Path | str, folder: Path | str = FOLDER) -> str:
    """The tables that `out` holds, one after the other, with the conditions they share."""
    ablations = Ablations(Path(folder))
    base, evaluation = ablations.base(), ablations.setup.evaluation
    made = [Path(out) / f"{name}.md" for name in ablations.all]
    found = [path.read_text(encoding="utf-8") for path in made if path.exists()]
    head = (
        f"Base: `{base.network}`, {base.steps} steps of {base.batch} pictures of "
        f"{base.data.crop}x{base.data.crop}, `{base.codecs[0].spec}` at QP "
        f"{', '.join(map(str, base.codecs[0].qualities))}. Judged on {evaluation.photos} photos "
        "that no run saw. A negative BD-rate is a saving over the codec alone at equal distance. "
        "Intervals: 95 %, bootstrap over seeds and photos together; of one seed, over photos alone."
    )
    return "\n".join([head, "", *found])
