"""pip install . is refused in a sentence: a copy in site-packages would lack configurations, lists and plug-ins."""

from setuptools.command.bdist_wheel import bdist_wheel


class EditableOnly(bdist_wheel):
    """Builds no wheel. `pip install -e .` does not run it."""

    def run(self) -> None:
        raise SystemExit(
            "error: this project is used from its folder, where its configurations, lists, models/ and loss/ are: "
            "clone it and run pip install -e . there"
        )
