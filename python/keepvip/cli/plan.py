"""`keepvip plan`: what a reload would do, against the running daemon or between two files."""

from __future__ import annotations

import json
from pathlib import Path

import click

from keepvip.cli.common import ExitCode, socket_option

__all__ = ["plan"]


@click.command()
@click.argument("files", nargs=-1, metavar="[NEW | OLD NEW]")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@socket_option
def plan(files: tuple[str, ...], socket: str | None, *, as_json: bool) -> int:
    """Show what a reload would do, instance by instance. Nothing is carried out.

    Without files: the running daemon compares its file as it is now with what it runs. With one: the daemon
    compares that file. With two: the difference of the two, without a daemon.

    + starts, - ends, ± becomes another virtual router, ~ changes in place; where a transition can follow, the line
    says why.

    Exit status: 0 a reload would be carried out, 1 it would be refused, 3 no daemon answers.
    """
    match files:
        case (old, new):
            return _between(old, new, as_json=as_json)
        case () | (_,):
            return _running(files[0] if files else None, socket, as_json=as_json)
        case _:
            raise click.UsageError("give one file, to compare with what runs, or two")


def _running(path: str | None, socket: str | None, *, as_json: bool) -> int:
    from keepvip.admin.client import AdminClient  # noqa: PLC0415  (two files need no daemon)

    client = AdminClient(socket)
    answer = client.get("/v1/plan") if path is None else client.get("/v1/plan", path=str(Path(path).absolute()))
    status = ExitCode.OK if answer["ok"] else ExitCode.UNHEALTHY
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return status
    for diagnostic in answer["diagnostics"]:
        click.echo(diagnostic["rendered"], err=True)
    for step in answer["steps"]:
        click.echo(f"  {step}")
    click.echo(answer["message"], err=not answer["ok"])
    return status


def _between(old: str, new: str, *, as_json: bool) -> int:
    import msgspec  # noqa: PLC0415  (the compiler is not needed to ask a daemon)

    from keepvip.config.load import load  # noqa: PLC0415
    from keepvip.config.plan import plan as compare  # noqa: PLC0415
    from keepvip.config.render import render, to_objects  # noqa: PLC0415

    before, after = load(old), load(new)
    usable = before.config is not None and after.clean
    found = compare(before.built.config, after.built.config)
    if as_json:
        answer = {
            "ok": usable,
            "steps": found.lines(),
            "plan": msgspec.to_builtins(found),
            "diagnostics": {"old": to_objects(before.diagnostics), "new": to_objects(after.diagnostics)},
        }
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return ExitCode.OK if usable else ExitCode.UNHEALTHY
    if not usable:
        for result in (before, after):
            if not result.clean:
                click.echo(render(result.diagnostics), err=True, nl=False)
        wrong = old if before.config is None else new
        click.echo(f"{wrong} cannot be used: this is only what could be made of it", err=True)
    click.echo(found if found.empty else "\n".join(f"  {line}" for line in found.lines()))
    return ExitCode.OK if usable else ExitCode.UNHEALTHY
