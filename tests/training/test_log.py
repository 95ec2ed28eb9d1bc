"""CSV logs across a kill."""

from pathlib import Path

from tamis.training.log import CsvLog


def test_rows_past_the_checkpoint_and_rows_cut_short_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "steps.csv"
    log = CsvLog(path, ("loss", "bpp"), 0)
    for step in (1, 2, 3):
        log.write(step, {"loss": step / 3, "bpp": 1.0})
    with path.open("a") as file:
        file.write("4")
    resumed = CsvLog(path, ("loss", "bpp"), 2)
    resumed.write(3, {"loss": 9.0})
    lines = path.read_text().splitlines()
    assert lines == ["step,loss,bpp", "1,0.333333,1", "2,0.666667,1", "3,9,"]
