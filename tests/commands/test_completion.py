"""`mstar completion`: a script that a shell can read, with every command, and the settings of Lightning's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mstar.__main__ import LIGHTNING, OWN, main
from mstar.commands.completion import light

pytest.importorskip("shtab", reason="pip install -e '.[test]'")
ASK = """
source {script}
COMP_WORDS=({words}); COMP_CWORD={last}; COMP_LINE="{words}"; COMP_POINT=${{#COMP_LINE}}
_shtab_mstar 2>/dev/null
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def test_every_command_has_a_parser_to_complete_from() -> None:
    assert tuple(light()) == OWN


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_commands_settings_and_choices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "bash"])
    script = tmp_path / "mstar.bash"
    script.write_text(capsys.readouterr().out)

    def completes(*words: str) -> set[str]:
        ask = ASK.format(script=script, words=" ".join(words), last=len(words) - 1)
        run = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
        return set(run.stdout.split())

    assert completes("mstar", "ro") == {"rollouts"}
    assert {*LIGHTNING, *OWN} <= completes("mstar", "''")
    assert "--trainer.max_epochs" in completes("mstar", "fit", "--trainer.max_e")
    assert "--dry_run" in completes("mstar", "run", "--dr")


def test_a_shell_we_have_no_script_for_is_a_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["completion", "fish"])
    assert end.value.code == 2 and "bash" in capsys.readouterr().err
