"""What a schedule may say of deliveries, and that it never says a secret."""

import pytest

from pipelines.deliver import wanted
from pipelines.schedule import read
from store.errors import FileUnusable
from tests.pipelines.reports import NOTEBOOKS

SECRET = "canary-77b2c4"
PLACE = 'a secret does not belong in a schedule; say where it is: { env = "NAME" } or { file = "/path" }'


def deliveries(tmp_path, text):
    file = tmp_path / "schedule.toml"
    file.write_text(f"[paced]\ncron = '0 6 * * *'\ndeliver = [{text}]\n")
    (job,) = read(file, notebooks=NOTEBOOKS)
    return job.deliver


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{ to = 'email', addresses = ['a@example.com'], user = 'u', password = '%s' }", f"deliver.0.password: {PLACE}"),
        ("{ to = 'email', addresses = ['a@example.com'], user = 'u', password = { env = '%s' } }", f"deliver.0.password: {PLACE}"),
        ("{ to = 'email', addresses = ['a@example.com'], user = 'u', password = { file = '%s' } }", f"deliver.0.password: {PLACE}"),
        ("{ to = 'slack', channel = 'C012', token = '%s' }", f"deliver.0.token: {PLACE}"),
        ("{ to = 'slack', webhook = 'https://hooks.slack.com/services/%s' }", f"deliver.0.webhook: {PLACE}"),
        ("{ to = 'webhook', url = 'https://hooks.slack.com/services/%s' }", "deliver.0.url: this address is a secret of Slack's"),
        ("{ to = 'webhook', url = 'https://u:%s@example.com' }", "deliver.0.url: user and password do not belong in it"),
        ("{ to = 'webhook', url = 'ftp://u:%s@example.com' }", "deliver.0.url: user and password do not belong in it"),
        ("{ to = 'webhook', url = 'https://example.com', secret = '%s' }", f"deliver.0.secret: {PLACE}"),
        ("{ to = 'bucket', url = 's3://u:%s@b/' }", "deliver.0.url: user and password do not belong in it"),
        ("{ to = 'bucket', url = 's3://b', options = { secret_key = '%s' } }", f"deliver.0: options.secret_key: {PLACE}"),
        ("{ to = 'webhook', url = 'https://example.com', passwd = '%s' }", "deliver.0.passwd: does not exist"),
    ],
)  # fmt: skip
def test_a_secret_is_refused_and_not_repeated(tmp_path, text, says):
    with pytest.raises(FileUnusable) as caught:
        deliveries(tmp_path, text.replace("%s", f"{SECRET}-é"))
    assert says in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{ to = 'email', addresses = ['a'] }", "deliver.0.addresses.0: must be an e-mail address such as team@example.com, not 'a'"),
        ("{ to = 'email', addresses = [\"a@example.com\\nBcc: b@example.com\"] }", "must be an e-mail address"),
        ("{ to = 'email', addresses = [] }", "deliver.0.addresses: List should have at least 1 item"),
        ("{ to = 'email', addresses = ['a@example.com'], server = 'mx.example.com', security = 'none' }", "'none' is for a server on this machine alone"),
        ("{ to = 'email', addresses = ['a@example.com'], user = 'u' }", "user and password go together"),
        ("{ to = 'slack' }", "needs a token, with a channel's id, or a webhook, and not both"),
        ("{ to = 'slack', token = { env = 'T' } }", "channel: needs the channel's id, such as C0123456789"),
        ("{ to = 'slack', token = { env = 'T' }, channel = '#general' }", "deliver.0.channel"),
        ("{ to = 'webhook', url = 'example.com' }", "must begin with https:// or http://, not 'example.com'"),
        ("{ to = 'bucket', url = 'reports' }", "must be an address such as s3://reports/weekly, not 'reports'"),
    ],
)  # fmt: skip
def test_a_wrong_delivery_is_one_line(tmp_path, text, says):
    with pytest.raises(FileUnusable) as caught:
        deliveries(tmp_path, text)
    assert says in str(caught.value)


def test_what_the_ledger_holds_is_where_secrets_are(tmp_path):
    text = """
        { to = 'email', addresses = ['a@example.com'], server = 'mx.example.com', user = 'u', password = { env = 'P' } },
        { to = 'slack', webhook = { file = '/run/secrets/slack' } },
        { to = 'bucket', url = 's3://b/c/', options = { region = 'x', secret_key = { env = 'S' }, anonymous = false } },
    """
    email, slack, bucket = deliveries(tmp_path, text)
    assert (email.secured, bucket.url) == ("starttls", "s3://b/c")
    kept = wanted([email, slack, bucket])
    assert [one["outcome"] for one in kept] == ["waiting"] * 3
    assert kept[0]["password"] == {"env": "P"}
    assert kept[1]["webhook"] == {"file": "/run/secrets/slack"}
    assert kept[2]["options"] == {"region": "x", "secret_key": {"env": "S"}, "anonymous": False}
