"""The conformance statement says what the code does."""

import re
from itertools import product
from pathlib import Path

import pytest
from attributes import MARKED, attribute_table, make_variants, renewed
from network import open_stores, port_of, receiving
from pydicom.uid import CTImageStorage
from pynetdicom import AE
from pynetdicom.presentation import build_context
from typer.testing import CliRunner

from scp.cli import app
from scp.commands.conformance import TABLES, filled, statement
from scp.config.load import Settings
from scp.dimse.peers import TRANSFER_SYNTAXES
from scp.dimse.receiver import accepted_sop_classes

PAGE = (Path(__file__).parents[3] / "docs" / "conformance.md").read_text(encoding="utf-8")


def test_the_tables_of_the_page_are_those_of_the_code():
    assert filled(PAGE, Settings()) == PAGE, "hilum conformance --page docs/conformance.md"


def test_every_table_stands_in_the_page():
    assert set(re.findall(r"<!-- from the code: (\w+) -->", PAGE)) == set(TABLES)


def test_the_attributes_of_the_page_are_those_of_the_objects_and_no_more_or_less():
    variants, film = make_variants()
    assert renewed(PAGE, variants, film) == PAGE, "python tests/support/attributes.py"
    full, bare = variants[:2]
    said = MARKED.search(PAGE)[0]
    full["report"].InstitutionalDepartmentName = "Radiology"
    assert attribute_table(variants, film) not in said
    del full["report"].InstitutionalDepartmentName
    assert attribute_table(variants, film) in said
    del bare["summary-capture"].ImageComments
    assert attribute_table(variants, film) not in said


def test_a_site_gets_the_tables_of_its_own_configuration(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(
        '[receiver]\nae_title = "CHEST"\nport = 104\n[results]\nreport_class = "enhanced"\n'
        '[priors]\nretrieve = "get"\n',
        encoding="utf-8",
    )
    done = CliRunner().invoke(app, ["conformance", "--config", str(path)])
    assert done.exit_code == 0, done.output
    assert "| `[receiver] ae_title` | `CHEST` |" in done.output
    assert "Enhanced SR Storage" in done.output.split("## report_classes")[0]
    assert "Study Root Query/Retrieve Information Model - GET" in done.output
    assert "Study Root" not in statement(Settings())


def test_all_that_the_statement_accepts_is_accepted_and_nothing_else(tmp_path):
    classes = accepted_sop_classes(secondary_captures=False)
    wanted = [build_context(uid, syntax) for uid, syntax in product(classes, TRANSFER_SYNTAXES)]
    with open_stores(tmp_path) as stores, receiving(stores) as receiver:
        contexts = [*wanted, build_context(CTImageStorage)]
        association = AE("TEST").associate(
            "127.0.0.1", port_of(receiver), contexts=contexts, ae_title="HILUM"
        )
        assert association.is_established
        refused = [context.abstract_syntax for context in association.rejected_contexts]
        association.release()
    assert refused == [CTImageStorage]


@pytest.mark.parametrize("status", ["0x0000", "0x0110", "0x0111", "0xA700", "0xA900", "0xC000"])
def test_every_status_that_a_sender_may_get_is_explained(status):
    assert f"| {status} |" in TABLES["statuses"](Settings())
