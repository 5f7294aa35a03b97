"""What may stand in config.toml and the environment, and what is said when it is wrong."""

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from scp.config.load import Settings, load_settings, settings_class
from scp.config.time_zone import SERVER_ZONE
from scp.errors import ConfigError

CONFIG = Path(__file__).parents[3] / "config.toml"
TEXT = CONFIG.read_text(encoding="utf-8")
# "# words" is a comment, "#key = value" a commented example
UNCOMMENTED = re.sub(r"^#(?=\[|\w+ = )", "", TEXT, flags=re.M)


def fields(model, table=""):
    """Yield (table, key, field) of every plain value, recursively."""
    for key, field in model.model_fields.items():
        nested = settings_class(field)
        if nested is None:
            yield table, key, field
        else:
            yield from fields(nested[0], f"{table}.{key}".strip("."))


def test_config_toml_is_what_hilum_config_prints(inside):
    assert inside("config").output == TEXT  # make config renews it


def test_every_setting_is_documented():
    undocumented = [
        f"{table}.{key}" for table, key, field in fields(Settings) if not field.description
    ]
    assert undocumented == []


def test_config_toml_as_it_comes_is_the_default_configuration():
    loaded = load_settings(CONFIG)
    assert loaded == Settings(data_dir=CONFIG.parent / "var")


def test_the_examples_in_config_toml_load_once_uncommented(tmp_path):
    loaded = written(tmp_path, UNCOMMENTED)
    assert [peer.ae_title for peer in loaded.receiver.peers] == ["PACS"]
    assert [destination.name for destination in loaded.destinations] == ["pacs"]


def written(folder, text):
    """Load a configuration of this text."""
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


PACS = '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 11113\n'


def test_an_empty_file_means_all_defaults(tmp_path):
    assert written(tmp_path, "") == Settings(data_dir=tmp_path / "var")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('data_dri = "x"', "data_dri: no such key; did you mean data_dir?"),
        ("[reciever]\nport = 1", "reciever: no such key; did you mean receiver?"),
        ("[receiver]\nprot = 11112", "receiver.prot: no such key; did you mean port?"),
        (
            "[results.drawing]\nlong_edge = 900",
            "results.drawing.long_edge: no such key; did you mean long_edge_px?",
        ),
        (
            PACS + 'hots = "10.0.0.1"\n',
            "destinations.0.hots: no such key; did you mean host?",
        ),
        (
            '[[receiver.peers]]\nae_titel = "A"\nae_title = "A"\nhost = "h"',
            "receiver.peers.0.ae_titel: no such key; did you mean ae_title?",
        ),
        ("[database]\nzzz = 1", "database.zzz: no such key; the keys here are url"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_the_nearest_right_one(tmp_path, text, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        written(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("HILUM_RECIEVER__PORT", "HILUM_RECIEVER__PORT: no such key; did you mean receiver?"),
        ("HILUM_RECEIVER__PROT", "receiver.prot: no such key; did you mean port?"),
    ],
)
def test_an_unknown_variable_is_an_error_too(tmp_path, monkeypatch, name, says):
    monkeypatch.setenv(name, "11200")
    with pytest.raises(ConfigError, match=re.escape(says)):
        written(tmp_path, "")


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HILUM_RECEIVER__PORT", "11200")
    monkeypatch.setenv("HILUM_RESULTS__DRAWING__MOST_FINDINGS", "1")
    loaded = written(tmp_path, '[receiver]\nport = 104\nae_title = "READER"')
    assert loaded.receiver.port == 11200
    assert loaded.receiver.ae_title == "READER"  # its neighbours in the table stay
    assert loaded.results.drawing.most_findings == 1


def test_lists_come_from_the_environment_as_json(tmp_path, monkeypatch):
    monkeypatch.setenv(
        "HILUM_DESTINATIONS",
        '[{"name": "pacs", "ae_title": "PACS", "host": "10.0.0.5", "port": 104}]',
    )
    monkeypatch.setenv("HILUM_RECEIVER__PEERS", '[{"ae_title": "A", "host": "h"}]')
    loaded = written(tmp_path, "")
    assert loaded.destinations_by_name()["pacs"].host == "10.0.0.5"
    assert loaded.receiver.peers[0].ae_title == "A"


def test_a_variable_that_is_no_json_is_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("HILUM_DESTINATIONS", "pacs")
    with pytest.raises(ConfigError, match="destinations"):
        written(tmp_path, "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[receiver]\nport = 70000", "receiver.port: Input should be less than or equal to 65535"),
        ('[receiver]\nport = "x"', "receiver.port: Input should be a valid integer"),
        ('[gate]\nunknown_view = "ask"', "gate.unknown_view: Input should be 'refuse' or"),
        ('[receiver]\nae_title = "A TITLE TOO LONG TO BE"', "receiver.ae_title: String should"),
        ('[[destinations]]\nname = "pacs"', "destinations.0.host: Field required"),
        ('[results.drawing]\nlabel = "für Forschung"', "results.drawing.label: String should"),
    ],
)
def test_a_bad_value_is_named_with_what_would_be_right(tmp_path, text, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        written(tmp_path, text)


def test_all_mistakes_are_named_at_once(tmp_path):
    with pytest.raises(ConfigError) as error:
        written(tmp_path, "[receiver]\nprot = 1\nprocesses = 0\n[dashboard]\nport = -1")
    for key in ("receiver.prot", "receiver.processes", "dashboard.port"):
        assert key in str(error.value)


def test_two_destinations_of_one_name_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="two destinations have the same name"):
        written(tmp_path, PACS + PACS)


def test_a_file_that_is_no_toml_is_refused_with_the_place(tmp_path):
    with pytest.raises(ConfigError, match=r"config\.toml is not valid TOML: .*line 2"):
        written(tmp_path, "[receiver]\nport 11112")


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml is not there"):
        load_settings(tmp_path / "nowhere.toml")


def test_data_dir_is_relative_to_the_folder_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site" / "config.toml").write_text('data_dir = "films"', encoding="utf-8")
    loaded = load_settings(Path("site/config.toml"))
    assert loaded.data_dir == tmp_path / "site" / "films"
    assert loaded.database_url == f"sqlite:///{tmp_path}/site/films/hilum.sqlite"


def test_an_absolute_data_dir_stays_as_it_is(tmp_path):
    assert written(tmp_path, f'data_dir = "{tmp_path}/x"').data_dir == tmp_path / "x"


PEER = '[[receiver.peers]]\nae_title = "XRAY1"\nhost = "127.0.0.1"\n'


def test_a_pacs_that_moves_priors_here_must_be_one_of_the_peers(tmp_path):
    move = '[priors]\nretrieve = "move"\n'
    with pytest.raises(ConfigError, match=r"priors: .* has PACS send .*\[\[receiver.peers\]\]"):
        written(tmp_path, PEER + move)
    for text in (
        move,  # without peers this machine itself may send
        PEER + PEER.replace("XRAY1", "PACS") + move,
        PEER + '[priors]\nretrieve = "get"\n',
    ):
        assert written(tmp_path, text).priors.retrieve != "off"


def test_which_file_it_is_may_stand_in_the_environment_too(tmp_path, monkeypatch):
    monkeypatch.setenv("HILUM_CONFIG", str(tmp_path / "config.toml"))
    assert written(tmp_path, "[receiver]\nport = 104").receiver.port == 104


@pytest.fixture
def secrets(tmp_path, monkeypatch):
    """A folder of secrets, as systemd and the containers have it."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return folder


URL = "postgresql://hilum:p%40ss@db/hilum"


def test_a_secret_comes_from_a_file_and_wins_over_the_configuration(tmp_path, secrets):
    (secrets / "HILUM_DATABASE__URL").write_text(f"{URL}\n")
    (secrets / "somebody_elses").write_text("x")
    loaded = written(tmp_path, '[database]\nurl = "postgresql://other"\n[receiver]\nport = 104')
    assert loaded.database.url == URL
    assert loaded.receiver.port == 104


def test_the_environment_wins_over_a_secret(tmp_path, secrets, monkeypatch):
    (secrets / "HILUM_DATABASE__URL").write_text(URL)
    monkeypatch.setenv("HILUM_DATABASE__URL", "postgresql://mine")
    assert written(tmp_path, "").database.url == "postgresql://mine"


def test_a_secret_of_no_known_name_is_an_error_that_does_not_tell_it(tmp_path, secrets):
    (secrets / "HILUM_DATABSE__URL").write_text(URL)
    said = r"secret HILUM_DATABSE__URL: .*did you mean data"
    with pytest.raises(ConfigError, match=said) as told:
        written(tmp_path, "")
    assert "p%40ss" not in str(told.value)


def test_without_secrets_all_stands_as_it_is(tmp_path, secrets, monkeypatch):
    assert written(tmp_path, "").database.url == ""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "nowhere"))
    assert written(tmp_path, "").database.url == ""


@pytest.mark.parametrize("name", ["config.toml", "demo/config.toml"])
def test_the_configurations_of_the_containers_are_right(name, monkeypatch):
    loaded = load_settings(CONFIG.parent / "docker" / name)
    assert str(loaded.data_dir) == "/data"
    assert loaded.dashboard.asks_for_login
    text = (CONFIG.parent / "docker" / name).read_text(encoding="utf-8")
    assert "password" not in text


@pytest.mark.parametrize(
    "text",
    [
        'time_zone = "Asia/Kolkata"',
        '[dashboard]\ntime_zone = "Asia/Kolkata"',  # the key of before 0.5
        'time_zone = "Asia/Kolkata"\n[dashboard]\ntime_zone = "Asia/Kolkata"',
        'time_zone = "Asia/Kolkata"\n[dashboard]\ntime_zone = ""',
    ],
)
def test_the_sites_zone_is_one_setting_and_its_old_key_still_works(tmp_path, text):
    loaded = written(tmp_path, text)
    assert (loaded.time_zone, loaded.zone) == ("Asia/Kolkata", ZoneInfo("Asia/Kolkata"))


def test_the_old_key_of_the_sites_zone_works_in_the_environment_too(tmp_path, monkeypatch):
    monkeypatch.setenv("HILUM_DASHBOARD__TIME_ZONE", "Asia/Kolkata")
    assert written(tmp_path, "").time_zone == "Asia/Kolkata"


def test_two_zones_of_one_site_are_an_error(tmp_path):
    text = 'time_zone = "Asia/Kolkata"\n[dashboard]\ntime_zone = "Asia/Tokyo"'
    with pytest.raises(ConfigError, match="remove the second"):
        written(tmp_path, text)


def test_without_a_zone_the_servers_own_counts(tmp_path):
    assert written(tmp_path, "").zone is SERVER_ZONE


FILES = 'certificate = "/c.pem"\nkey = "/k.pem"\n'
PEER = '[[receiver.peers]]\nae_title = "XRAY1"\nhost = "10.0.0.6"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[receiver.tls]\nmode = "only"\nca = "/ca.pem"', "needs certificate and key"),
        (f'[receiver.tls]\nmode = "only"\n{FILES}', "needs ca, the CAs of the peers"),
        ('[receiver.tls]\ncertificate = "c.pem"', "write the whole path, from / on"),
        ('[receiver.tls]\nminimum_version = "1.1"', "receiver.tls.minimum_version"),
        (f"{PEER}tls = true", "peer XRAY1 is to use TLS: set [receiver.tls] mode"),
        (f'{PEER}certificate_names = ["x"]', "peer XRAY1 is to use TLS"),
        (
            f'[receiver.tls]\nmode = "only"\nclient_certificate = "none"\n{FILES}'
            f'{PEER}certificate_names = ["x"]',
            "peer XRAY1 is to have a certificate: set [receiver.tls] client_certificate",
        ),
        (
            f'[receiver]\nport = 2762\n[receiver.tls]\nmode = "beside"\nca = "/ca.pem"\n{FILES}',
            "are the same",
        ),
        (f"{PACS}[destinations.tls]\nenabled = true", "tls needs ca"),
        # what looks secure is never without TLS
        (f'{PACS}[destinations.tls]\nca = "/ca.pem"', "tls has settings and is off"),
        ('[priors.tls]\nca = "/ca.pem"', "tls has settings and is off"),
        (
            '[priors.tls]\nenabled = true\nca = "/ca.pem"\nkey = "/k.pem"',
            "certificate and key together",
        ),
    ],
)
def test_tls_that_is_half_configured_is_an_error(tmp_path, text, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        written(tmp_path, text)


def test_tls_is_off_unless_it_is_asked_for(tmp_path):
    loaded = written(tmp_path, PACS)
    assert loaded.receiver.tls.mode == "off"
    assert not loaded.destinations[0].tls.enabled
    assert loaded.certificates() == {}


def test_the_certificates_in_use_are_known_by_who_uses_them(tmp_path):
    tls = f'enabled = true\nca = "/ca.pem"\n{FILES}'
    text = f'{PACS}[destinations.tls]\n{tls}[priors]\nretrieve = "get"\n[priors.tls]\n{tls}'
    loaded = written(tmp_path, f'[receiver.tls]\nmode = "only"\nca = "/ca.pem"\n{FILES}{text}')
    assert set(loaded.certificates()) == {"receiver", "destination pacs", "priors"}
