"""Secrets of the common kinds, shaped like real ones, and what looks like one but is none."""

from __future__ import annotations

import random
import string

import pytest

from nbtrack.tracking.redaction import Redactor, is_secret_name, redact

_random = random.Random(7)


def word(length: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(_random.choice(letters) for _ in range(length - 1)) + "7"


def mixed(length: int) -> str:
    return word(length - 8) + "aB3dE5fG"


HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits
URLSAFE = string.ascii_letters + string.digits + "_-"

# Put together here, so that no file of this repository holds anything that scanners take for a key.
SECRETS = {
    "aws-access-key": "AKIA" + word(16, UPPER),
    "github-token": "ghp_" + word(36),
    "github-token fine-grained": "github_pat_" + word(22) + "_" + word(59),
    "gitlab-token": "glpat-" + word(20, URLSAFE),
    "slack-token": "xoxb-" + word(12, string.digits) + "-" + word(12, string.digits) + "-" + word(24),
    "slack-webhook": "https://hooks.slack.com/services/T" + word(8, UPPER) + "/B" + word(8, UPPER) + "/" + word(24),
    "google-key": "AIza" + word(35, URLSAFE),
    "google-oauth": "GOCSPX-" + word(28, URLSAFE),
    "openai-key": "sk-" + word(48),
    "openai-key project": "sk-proj-" + word(74, URLSAFE),
    "anthropic-key": "sk-ant-api03-" + word(93, URLSAFE) + "AA",
    "huggingface-token": "hf_" + word(34, string.ascii_letters),
    "stripe-key": "sk_live_" + word(24),
    "twilio-key": "SK" + word(32, HEX),
    "sendgrid-key": "SG." + word(22, URLSAFE) + "." + word(43, URLSAFE),
    "npm-token": "npm_" + word(36),
    "pypi-token": "pypi-AgEIcHlwaS5vcmc" + word(60, URLSAFE),
    "digitalocean-token": "dop_v1_" + word(64, HEX),
    "databricks-token": "dapi" + word(32, HEX),
    "vault-token": "hvs." + word(24, URLSAFE),
    "grafana-token": "glsa_" + word(32) + "_" + word(8, HEX),
    "shopify-token": "shpat_" + word(32, HEX),
    "mailgun-key": "key-" + word(32, HEX),
    "telegram-token": word(9, "123456789") + ":AA" + word(33, URLSAFE),
    "jwt": "eyJ" + word(20) + ".eyJ" + word(40) + "." + word(43, URLSAFE),
    "azure-key": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=" + word(86) + "==",
    "pinecone-key": "pcsk_" + word(6) + "_" + word(62),
    "mapbox-token": "sk.eyJ1Ijoi" + word(40) + "." + word(22),
    "newrelic-key": "NRAK-" + word(27, UPPER),
    "notion-token": "ntn_" + word(46),
    "airtable-token": "pat" + word(14) + "." + word(64, HEX),
    "postman-key": "PMAK-" + word(24, HEX) + "-" + word(34, HEX),
    "age-key": "AGE-SECRET-KEY-1" + word(58, UPPER),
    "facebook-token": "EAACEdEose0c" + word(60),
    "twitter-token": "A" * 22 + word(80),
    "service-token linear": "lin_api_" + word(40),
    "service-token langsmith": "lsv2_pt_" + word(32, HEX) + "_" + word(10, HEX),
    "service-token perplexity": "pplx-" + word(48),
    "service-token nvidia": "nvapi-" + word(64),
    "service-token doppler": "dp.pt." + word(43),
    "service-token elevenlabs": "sk_" + word(48, HEX),
    "token wandb": "wandb_v1_" + word(30) + "_" + word(46),
    "token supabase": "sb_secret_" + mixed(22) + "_" + word(8),
    "token together": "tgp_v1_" + mixed(43),
    "token contentful": "CFPAT-" + mixed(43),
    "service-key kaggle": "KGAT_" + word(32, HEX),
    "service-key square": "sq0atp-" + word(22),
    "service-key firecrawl": "fc-" + word(32, HEX),
    "service-key brevo": "xkeysib-" + word(64, HEX) + "-" + word(16),
    "service-key alibaba": "LTAI5t" + word(18),
    "service-key bitbucket": "ATBB" + word(32),
    "service-key sentry": "sntrys_eyJ" + word(120) + "_" + word(43),
    "service-uuid": "pat-na1-" + "-".join(word(n, HEX) for n in (8, 4, 4, 4, 12)),
    "azure-client-secret": word(3) + "8Q~" + word(34),
    "azure-devops-token": word(76) + "AZDO" + word(4),
    "terraform-token": word(14) + ".atlasv1." + word(67, URLSAFE),
    "databricks-secret": "dose" + word(32, HEX),
    "mailchimp-key": word(32, HEX) + "-us12",
    "dropbox-token": "sl." + word(140, URLSAFE),
    "dynatrace-token": "dt0c01." + word(24, UPPER) + "." + word(64, UPPER),
    "webhook": "https://discord.com/api/webhooks/" + word(18, string.digits) + "/" + word(68, URLSAFE),
    "asana-token": "2/" + word(16, "123456789") + "/" + word(16, "123456789") + ":" + word(32, HEX),
    "cloudflare-key": "v1.0-" + word(24, HEX) + "-" + word(146, HEX),
    "ngrok-token": "2" + word(26) + "_" + word(21),
    "private-key": "-----BEGIN RSA PRIVATE KEY-----\n" + word(64) + "\n" + word(64) + "\n-----END RSA PRIVATE KEY-----",
}


def core(secret: str) -> str:
    """The part of a secret that must not survive."""
    return max(secret.replace("\n", " ").replace("=", " ").replace(";", " ").split(), key=len)[-16:]


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("form", ['x = "{}"', "connect('{}', 3)", "# old: {} !", '{{"k": "{}"}}', "-H 'X: {}'"])
def test_redact_key_of_known_shape_is_taken_out_wherever_it_stands(kind, form):
    secret = SECRETS[kind]
    redactor = Redactor()
    shown = redactor.source(form.format(secret))
    assert core(secret) not in shown
    assert "[redacted:" in shown
    assert sum(redactor.found.values()) == 1
    if form.startswith("x"):
        assert f"[redacted:{kind.split()[0]}]" in shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('password = "hunter2"', 'password = "[redacted:password]"'),
        ("DB_PASSWORD='hunter2'", "DB_PASSWORD='[redacted:password]'"),
        ('conn(user="ana", passwd="hunter2")', 'conn(user="ana", passwd="[redacted:password]")'),
        ('{"api_key": "abc", "n": 1}', '{"api_key": "[redacted:password]", "n": 1}'),
        ('os.environ["WANDB_API_KEY"] = "0123"', 'os.environ["WANDB_API_KEY"] = "[redacted:password]"'),
        ('client_secret: str = "s3cr3t"', 'client_secret: str = "[redacted:password]"'),
        ('create_engine("mysql://root:pw@host/db")', 'create_engine("mysql://root:[redacted:url-password]@host/db")'),
        ('hf_token = "abcdefabcdef1234"', 'hf_token = "[redacted:password]"'),
        ('token = "0123456789abcdef0123"', 'token = "[redacted:password]"'),
        ('print("password=hunter2 and more")', 'print("password=[redacted:password] and more")'),
        ("!export API_KEY=abcdef && ls", "!export API_KEY=[redacted:password] && ls"),
        ("%env DB_PASSWORD=abcdef", "%env DB_PASSWORD=[redacted:password]"),
        ("# DB_PASSWORD: abcdef", "# DB_PASSWORD: [redacted:password]"),
        ('wandb.login(key="01ab23cd01ab23cd01ab23cd")', 'wandb.login(key="[redacted:password]")'),
        ('co = cohere.Client("Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8")', 'co = cohere.Client("[redacted:password]")'),
        ('os.environ["KAGGLE_KEY"] = "0123ab0123ab0123ab01"', 'os.environ["KAGGLE_KEY"] = "[redacted:password]"'),
        ('smtp.login("ana@x.org", "hunter2")', 'smtp.login("ana@x.org", "[redacted:password]")'),
        ('get(url, auth=("ana", "hunter2"))', 'get(url, auth=("ana", "[redacted:password]"))'),
        ('ssh_pass = "hunter2"', 'ssh_pass = "[redacted:password]"'),
        ("!curl -u ana:hunter2 https://x", "!curl -u ana:[redacted:password] https://x"),
        ('get("https://x/y?key=abcdef0123456789&z=1")', 'get("https://x/y?[redacted:url-key]&z=1")'),
        ('{"Ocp-Apim-Subscription-Key": "abcdef"}', '{"Ocp-Apim-Subscription-Key": "[redacted:password]"}'),
        ('f("Authorization: Bearer abcdef0123456789abcd")', 'f("Authorization: Bearer [redacted:authorization]")'),
    ],
)
def test_redact_source_keeps_the_code_around_the_secret(text, expected):
    assert Redactor().source(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "password = getpass.getpass()",
        'api_key = os.environ["OPENAI_API_KEY"]',
        'pad_token = "[PAD]"',
        'f"password={password}"',
        '"password=%s" % password',
        "connect(password=password, secret=vault.read())",
        "max_tokens = 512",
        'tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")',
        'df.groupby("key").agg(keys=("key", "count"))',
        "sk-learn and hf_hub",
        'url = "https://example.org:8080/a@b"',
        'commit = "0123456789abcdef0123456789abcdef01234567"',
        "risk-assessment-of-long-hyphenated-names-and-so-on",
        'pd.merge(a, b, on="customer_key", how="left")',
        "sort(key=lambda x: x[1])",
        'model_id = "sk-1"',
        'sort_values(key="some_long_column_name_of_2024")',
        'model_key = "random_forest_v2_2024_best"',
        'Client("localhost:8786")',
        'gdown.download(id="1y7sZ0aBcDeFgHiJkLmNoPqRsTuVwXyZ0")',
        "xai_explanations_for_model_2024_v2 = fw_learn_pipeline_version_2_final_run",
        "# secret sauce: bagging; key: value pairs",
        'first_pass = "abc"',
        'platform = "Linux-6.18.44-fc-x86_64-with-glibc2.36"',
        'name = "my_GradientBoostingRegressor_run_2024_11_30T10_00_00"',
        "model_Conv2DTransposeLayerNormalizationBlock = best_XGBClassifier2024FinalVersion",
        'load_model("checkpoints/epoch_12-step_30000-val_loss_0.1234.ckpt")',
        'AutoModel.from_pretrained("sentence-transformers/all-MiniLM-L6-v2")',
    ],
)
def test_redact_leaves_ordinary_code_as_it_is(text):
    assert Redactor().source(text) == text


def test_redact_text_finds_unquoted_passwords_in_output():
    assert redact("Connecting with password=hunter2 to db") == "Connecting with password=[redacted:password] to db"
    assert redact("AWS_SECRET_ACCESS_KEY: abc/def+ghi") == "AWS_SECRET_ACCESS_KEY: [redacted:password]"


def test_redact_value_by_its_name():
    redactor = Redactor()
    assert redactor.value("db_password", "hunter2") == "[redacted:password]"
    assert redactor.value("max_tokens", "512") == "512"
    assert redactor.json({"a": ["postgres://u:p@h/d"], "secret_key": "x", "n": 3, "none": None}) == {
        "a": ["postgres://u:[redacted:url-password]@h/d"],
        "secret_key": "[redacted:password]",
        "n": 3,
        "none": None,
    }


@pytest.mark.parametrize(
    "name", ["password", "db_pwd", "AWS_SECRET_ACCESS_KEY", "github_token", "apiKey", "passphrase"]
)
def test_is_secret_name_knows_secrets(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["tokenizer", "max_tokens", "key", "keys", "n_tokens", "compass", "monkey", "token_type"]
)
def test_is_secret_name_lets_others_be(name):
    assert not is_secret_name(name)


def test_redact_of_a_large_text_takes_no_quadratic_time():
    import time

    text = "x = 1  # password-like key token words\n" * 5_000 + '"' * 5_000 + "a" * 100_000
    began = time.process_time()
    Redactor().text(text)
    assert time.process_time() - began < 2.0
