"""Takes secrets out of text before it reaches the disk: keys of known shape, passwords, URLs with credentials.

What is found is replaced by ``[redacted:<kind>]``, so that a reader sees that something was there. A secret of no
known shape under an innocent name cannot be found; the list of what was captured says how many were.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

# Kind -> shape. Shapes are those that the issuers publish, or that their own tools print.
_KEYS: Final[dict[str, str]] = {
    "private-key": r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:(?!-----BEGIN)[\s\S])*?"
    r"(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    "jwt": r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    "anthropic-key": r"\bsk-ant-[A-Za-z0-9_-]{20,}",
    "openai-key": r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}",
    "aws-access-key": r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
    "github-token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})",
    "gitlab-token": r"\bgl(?:pat|ptt|dt|rt|cbt|ft|soat|agent|imt)-[A-Za-z0-9_.-]{20,}",
    "slack-token": r"\bx(?:ox[abeoprs]|app)-[A-Za-z0-9-]{10,}",
    "slack-webhook": r"https://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]+",
    "google-key": r"\bAIza[A-Za-z0-9_-]{35}",
    "google-oauth": r"\b(?:GOCSPX-[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_-]{20,}|1//0[A-Za-z0-9_-]{20,})",
    "huggingface-token": r"\b(?:hf|api_org)_[A-Za-z0-9]{30,}",
    "stripe-key": r"\b(?:[sr]k_(?:live|test)|whsec)_[A-Za-z0-9]{16,}",
    "twilio-key": r"\b(?:SK|AC)[0-9a-f]{32}\b",
    "sendgrid-key": r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    "npm-token": r"\bnpm_[A-Za-z0-9]{36}",
    "pypi-token": r"\bpypi-[A-Za-z0-9_-]{16,}",
    "digitalocean-token": r"\bdo[opr]_v1_[0-9a-f]{64}",
    "databricks-token": r"\bdapi[0-9a-f]{32}(?:-\d)?",
    "vault-token": r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}",
    "grafana-token": r"\bgl(?:sa|c)_[A-Za-z0-9_=+/]{20,}",
    "shopify-token": r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    "mailgun-key": r"\bkey-[0-9a-f]{32}\b",
    "telegram-token": r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}\b",
    "discord-token": r"\b[MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}",
    "replicate-token": r"\br8_[A-Za-z0-9]{37}",
    "groq-key": r"\bgsk_[A-Za-z0-9]{40,}",
    "pinecone-key": r"\bpcsk_[A-Za-z0-9]{4,8}_[A-Za-z0-9]{40,}",
    "mapbox-token": r"\bsk\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{16,}",
    "newrelic-key": r"\bNRAK-[A-Z0-9]{24,}",
    "sentry-dsn": r"https://[0-9a-f]{32}(?::[0-9a-f]{32})?(?=@[\w.-]*sentry\b)",
    "notion-token": r"\b(?:ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43})\b",
    "airtable-token": r"\bpat[A-Za-z0-9]{14}\.[0-9a-f]{64}\b",
    "postman-key": r"\bPMAK-[0-9a-f]{24}-[0-9a-f]{34}\b",
    "age-key": r"\bAGE-SECRET-KEY-1[A-Z0-9]{50,}",
    "facebook-token": r"\bEAA[A-Za-z0-9]{40,}",
    "twitter-token": r"\bA{20,}[A-Za-z0-9%]{40,}",
    "service-token": r"\b(?:lin_api|figd|sbp|pscale_(?:tkn|pw|oauth)|dckr_pat|shippo_live|sk|fw|e2b)_"
    r"(?=[A-Za-z]*\d)[A-Za-z0-9]{24,}|\blsv2_[ps][tk]_[0-9a-f]{32}_[0-9a-f]{10}"
    r"|\b(?:pplx|xai|nvapi|tvly|tvly-dev|HRKU|tskey-auth|ATATT3|jina)[-_]"
    r"(?=[A-Za-z-]*\d)[A-Za-z0-9]{12,}[A-Za-z0-9_-]{12,}"
    r"|\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9]{40,}",
    "azure-client-secret": r"(?<![\w~.-])[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}",
    "azure-devops-token": r"\b[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}\b",
    "terraform-token": r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,}",
    "databricks-secret": r"\bdose[0-9a-f]{32}\b",
    "mailchimp-key": r"\b[0-9a-f]{32}-us\d{1,2}\b",
    "dropbox-token": r"\bsl\.(?:u\.)?[A-Za-z0-9_-]{100,}",
    "dynatrace-token": r"\bdt0[a-z]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{64}",
    "webhook": r"https://(?:(?:canary\.|ptb\.)?discord(?:app)?\.com/api/webhooks|[\w-]+\.webhook\.office\.com)/[\w/@-]+",
    "asana-token": r"\b[12]/\d{10,}(?:/\d{10,})?:[0-9a-f]{32}\b",
    "braintree-token": r"\baccess_token\$\w+\$[0-9a-z]{16}\$[0-9a-f]{32}",
    "cloudflare-key": r"\bv1\.0-[0-9a-f]{24}-[0-9a-f]{100,}",
    "fly-token": r"\bfm[12][ar]?_[A-Za-z0-9+/=_-]{60,}",
    "ngrok-token": r"\b[12][A-Za-z0-9]{26}_[A-Za-z0-9]{21}\b",
    "service-uuid": r"\b(?:sdk|pat-(?:na|eu|ap)\d|sk-lf)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "service-key": r"(?<![\w.-])(?:(?:KGAT_|fc-)[0-9a-f]{32}\b|vercel_blob_rw_\w{20,}"
    r"|(?:pul-|rubygems_|bkua_|sntryu_|xkeysib-)[0-9a-f]{40,}[\w-]*"
    r"|(?:csk-|pnu_|esecret_|sess-|tfp_|nfp_|rpa_|ph[xc]_|rnd_|dckr_oat_|CCIPAT_|sq0[a-z]{3}-)"
    r"(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{8}[A-Za-z0-9]{12,}[\w-]*)"
    r"|\b(?:oy2(?=[a-z0-9]{43}\b)|AKCp(?=\w{40})|LTAI(?=\w{17,21}\b)|ATBB(?=\w{28,}\b)|AQVN(?=[\w-]{35,38}\b)|GOOG1(?=\w{20})"
    r"|ops_eyJ(?=\w{40})|sntrys_eyJ(?=\w{40})|hf_oauth_eyJ(?=\w{40}))[A-Za-z0-9_.=+/-]+",
    # A word or two in front, then letters of both cases and digits, drawn by lot: most services make their keys so.
    "token": r"(?<![\w/.-])(?:(?:[a-z][a-z0-9]{1,11}|[A-Z][A-Z0-9]{1,11})[_-]){1,3}"
    r"(?=[A-Z0-9]*[a-z])(?=[a-z0-9]*[A-Z])(?=(?:[A-Za-z]*\d+[A-Za-z]){2})[A-Za-z0-9]{22,}[A-Za-z0-9_.-]*"
    r"|\bcio(?=[A-Za-z]*\d)(?=[a-z0-9]*[A-Z])[A-Za-z0-9]{32}\b",
    "url-key": r"(?<=[?&])(?:api_?)?(?:key|token|access_token|auth|code|secret)=(?=[^&\s'\"]*\d)[^&\s'\"<>]{16,}",
    "azure-key": r"(?i:\b(?:AccountKey|SharedAccessKey)=)[A-Za-z0-9+/]{20,}={0,2}",
    "azure-sas": r"(?<=[?&])sig=[A-Za-z0-9%+/_-]{20,}={0,2}",
    "authorization": r"(?i:\b(?:bearer|basic)\s+)(?=[A-Za-z0-9._~+/-]*\d)[A-Za-z0-9._~+/-]{16,}=*"
    r"|(?i:\b(?:token|apikey|bot|deepgram)\s+)(?=[A-Za-z0-9]*\d)[A-Za-z0-9]{32,}",
}
_ALL: Final = re.compile("|".join(f"(?P<k{i}>{shape})" for i, shape in enumerate(_KEYS.values())))
_KINDS: Final = tuple(_KEYS)
# A line with none of these holds no key: 16 signs with a digit among them, or 20 letters.
_HINT: Final = re.compile(r"(?=[A-Za-z+/_=.~$-]{0,15}\d)[A-Za-z0-9+/_=.~$-]{16}|[A-Za-z]{20}|-----BEGIN|hooks\.slack")

_URL: Final = re.compile(r"(?P<head>\b[a-zA-Z][a-zA-Z0-9+.-]{1,30}://[^\s/:@'\"<>]*:)(?P<secret>[^\s/@'\"<>{}]+)(?=@)")
_NAMED: Final = (
    r"[A-Za-z0-9_.-]*(?:passw(?:or)?d|passwd|passphrase|pwd|secret|credentials?|api[_-]?key|apikey|access[_-]?key"
    r"|account[_-]?key|subscription[_-]?key|private[_-]?key|secret[_-]?key|signing[_-]?key|encryption[_-]?key|auth[_-]?key|license[_-]?key"
    r"|(?:access|auth|api|bearer|refresh|session|secret|bot|id|hf|gh|github|gitlab|slack|wandb|jwt|csrf|oauth|personal)"
    r"[_-]?token)[A-Za-z0-9_-]*"
)
_ENDING: Final = r"(?:[A-Za-z0-9_.-]*[_.-])?tok(?:en)?"
_QUOTED: Final = re.compile(
    rf"(?P<head>(?<![\w.-]){_NAMED}['\"]?\]?\s*(?::\s*[A-Za-z_.\[\]| ]+=|[:=,])\s*[rbfuRBFU]{{0,2}})"
    r"(?P<quote>\"\"\"|'''|\"|')(?P<secret>(?:\\.|(?!(?P=quote)).)+?)(?P=quote)",
    re.IGNORECASE,
)
_TOKEN: Final = re.compile(
    rf"(?P<head>(?<![\w.-]){_ENDING}['\"]?\]?\s*[:=]\s*)(?P<quote>[\"'])"
    r"(?P<secret>(?=[^\"']*\d)[A-Za-z0-9_./+=:-]{16,})(?P=quote)",
    re.IGNORECASE,
)
# Names and calls that hold a key now and then: only what looks drawn by lot, letters and digits mixed, is one.
_DRAWN: Final = r"(?=(?:[^\d\"']*\d){3})(?=[^A-Za-z\"']*[A-Za-z])[A-Za-z0-9+/]{20,}={0,2}"
_MAYBE: Final = re.compile(
    r"(?P<head>(?:(?<![\w.-])(?:[\w.-]*[_.-])?(?:key|dsn|session_?id)['\"]?\]?\s*[:=]\s*"
    r"|(?<!\w)(?:\w*Client\w*|login|configure|authenticate|set_api_key|Fernet)\(\s*)[rbu]{0,2})"
    rf"(?P<quote>[\"'])(?P<secret>{_DRAWN})(?P=quote)",
    re.IGNORECASE,
)
# The second of a pair: login("ana", "…"), auth=("ana", "…"), HTTPBasicAuth("ana", "…"); pw = "…".
_PAIR: Final = re.compile(
    r"(?P<head>(?:\blogin|\bauth\s*=\s*|BasicAuth)\(\s*[^\s,()]+\s*,\s*|(?<![\w.-])(?:\w+_)?(?:pw|pass)\s*=\s*)"
    r"(?P<quote>[\"'])(?P<secret>[^\"'\s]{6,})(?P=quote)"
)
# What follows an option or a word: curl -u ana:…, --password …, the lines of a .netrc.
_SPOKEN: Final = re.compile(
    r"(?P<head>\s-u\s+[^\s:'\"]+:|\s--(?:password|token|api-key|secret)[ =]|\bset\s+-n\s+key\s+-v\s+"
    r"|\blogin\s+\S+\s+password\s+|\bsessionid=)(?P<secret>(?!\[redacted|[%$<{])[^\s'\";]{6,})"
)
_BARE: Final = re.compile(
    rf"(?P<head>(?<![\w.-]){_NAMED}\s*[:=]\s*)(?P<secret>(?!\[redacted|[%$<])[^\s'\"\[\](){{}},;]{{3,}})", re.IGNORECASE
)
# Where program text holds plain text: string literals, shell lines, %env and comments.
_INSIDE: Final = re.compile(
    r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|^[ \t]*(?:!|%env\b|%set_env\b|export\b)[^\n]*|#[^\n]*", re.MULTILINE
)
_NAME_ONLY: Final = re.compile(rf"(?:{_NAMED}|{_ENDING})", re.IGNORECASE)
_NAME_HINT: Final = re.compile(r"pass|pwd|secret|credential|key|tok| -u |sessionid", re.IGNORECASE)
_CALL_HINT: Final = re.compile(r"[\"'](?:[^\"'\s]{20,})[\"']|login|auth|pw|pass", re.IGNORECASE)


class Redactor:
    """Redacts and counts: `found` maps each kind to how often it was taken out."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}

    def _mark(self, kind: str) -> str:
        self.found[kind] = self.found.get(kind, 0) + 1
        return f"[redacted:{kind}]"

    def _key(self, match: re.Match[str]) -> str:
        kind = _KINDS[int(str(match.lastgroup)[1:])]
        text = match.group()
        head = ""
        if kind == "azure-key":
            head = text[: text.index("=") + 1]
        elif kind == "authorization":
            head = text[: len(text.split()[0]) + 1]
        return head + self._mark(kind)

    def source(self, text: str) -> str:
        """Return program text without secrets: names, calls and look-ups stay, so that it still reads and runs."""
        if _HINT.search(text):
            text = self._without_keys(text)
        if "://" in text:
            text = _URL.sub(lambda m: m["head"] + self._mark("url-password"), text)
        if _NAME_HINT.search(text):
            text = _QUOTED.sub(self._quoted, text)
            text = _TOKEN.sub(self._quoted, text)
            text = _SPOKEN.sub(self._bare, text)
            text = _INSIDE.sub(lambda m: _BARE.sub(self._bare, m[0]), text)
        if _CALL_HINT.search(text):
            text = _MAYBE.sub(self._quoted, text)
            text = _PAIR.sub(self._quoted, text)
        return text

    def _without_keys(self, text: str) -> str:
        if "-----BEGIN" in text:  # the only keys of several lines
            return _ALL.sub(self._key, text)
        lines = text.splitlines(keepends=True)
        return "".join(_ALL.sub(self._key, line) if _HINT.search(line) else line for line in lines)

    def _quoted(self, match: re.Match[str]) -> str:
        secret = match["secret"]
        if "[redacted:" in secret or "\n" in secret:
            return match.group()
        return f"{match['head']}{match['quote']}{self._mark('password')}{match['quote']}"

    def text(self, text: str) -> str:
        """Return output, a traceback or the like without secrets, also where they are not quoted."""
        text = self.source(text)
        if _NAME_HINT.search(text):
            text = _BARE.sub(self._bare, text)
        return text

    def _bare(self, match: re.Match[str]) -> str:
        return match["head"] + self._mark("password")

    def value(self, key: str, value: str) -> str:
        """Return the value of a param or tag without secrets; a name that says `password` hides all of it."""
        if is_secret_name(key) and value and not value.replace(".", "").isdigit():
            return self._mark("password")
        return self.text(value)

    def json(self, value: Any) -> Any:
        """Return plain JSON values with every text in them redacted."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(k) if isinstance(k, str) else k: self.value(str(k), v) if isinstance(v, str) else self.json(v)
                for k, v in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.json(item) for item in value]
        return value


def is_secret_name(name: str) -> bool:
    """Return whether a variable of this name holds a secret by the look of it.

    Examples
    --------
    >>> [is_secret_name(n) for n in ("db_password", "OPENAI_API_KEY", "hf_token", "max_tokens", "tokenizer", "key")]
    [True, True, True, False, False, False]
    """
    return bool(_NAME_HINT.search(name)) and _NAME_ONLY.fullmatch(name) is not None


def redact(text: str) -> str:
    """Return `text` without the secrets that have a known shape or name.

    Examples
    --------
    >>> redact("postgres://ana:hunter2@db/prod"), redact("password: hunter2")
    ('postgres://ana:[redacted:url-password]@db/prod', 'password: [redacted:password]')
    """
    return Redactor().text(text)
