"""A message to Slack: with the charts and the PDF as files by an app's token, or a link by an incoming webhook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from pipelines.delivery import http
from pipelines.delivery.parcel import Parcel
from pipelines.delivery.wanted import Slack, loopback
from store.errors import DeliveryError

MOST = 10  # files of one message that Slack shows side by side


def send(slack: Slack, parcel: Parcel, state: dict[str, object]) -> None:
    """Send the message.

    Raises:
        DeliveryError: Slack could not be reached or did not take it.
        PrintError: it is to have pictures or a PDF and they cannot be made.
    """
    del state
    if slack.webhook:
        _say(parcel.secrets.read(slack.webhook), text(slack, parcel))
        return
    assert slack.token is not None
    token = parcel.secrets.read(slack.token)
    files = [
        _upload(slack.api, token, name, content, title, alt)
        for name, content, title, alt in _files(slack, parcel)
    ]  # fmt: skip
    if files:
        done = {"files": files, "channel_id": slack.channel, "initial_comment": text(slack, parcel)}
        _call(f"{slack.api}/files.completeUploadExternal", token, done)
    else:
        _call(f"{slack.api}/chat.postMessage", token, {"channel": slack.channel, "text": text(slack, parcel)})


def text(slack: Slack, parcel: Parcel) -> str:
    """The message in Slack's markup; what a title or a team is called cannot become markup or mention anyone."""
    link = parcel.link(slack.link)
    title = f"<{link}|{_plain(parcel.subject)}>" if link else f"*{_plain(parcel.subject)}*"
    return "\n".join(filter(None, [title, _plain(parcel.summary)]))


def _files(slack: Slack, parcel: Parcel) -> list[tuple[str, bytes, str, str]]:
    """Name, content, title and alternative text of what is sent."""
    if not (slack.pictures or slack.pdf):
        return []
    prints = parcel.prints()
    stem = parcel.name.removesuffix(".html")
    pdf = [(f"{stem}.pdf", prints.pdf.read_bytes(), parcel.title, "")] if slack.pdf else []
    shown = prints.pictures[: MOST - len(pdf)] if slack.pictures else ()
    return pdf + [(f"{stem}-{one.name}.png", one.file.read_bytes(), one.alt[:200], one.alt) for one in shown]


def _upload(api: str, token: str, name: str, content: bytes, title: str, alt: str) -> dict[str, str]:
    """Bring one file to Slack, which shows it to nobody before the upload is completed."""
    asked = {"filename": name, "length": str(len(content)), **({"alt_txt": alt[:1000]} if alt else {})}
    place = _call(f"{api}/files.getUploadURLExternal", token, asked, form=True)
    url = str(place.get("upload_url", ""))
    if not url.startswith("https://") and not loopback(urlsplit(url).hostname or ""):
        raise DeliveryError("Slack names a place for the upload that is not https")
    answer = http.post(url, content, {"Content-Type": "application/octet-stream"})
    if answer.status != 200:
        raise http.refused(answer)
    return {"id": str(place.get("file_id", "")), "title": title}


def _call(url: str, token: str, given: Mapping[str, object], *, form: bool = False) -> dict[str, object]:
    """What a method of Slack's answers."""
    body = urlencode(given).encode() if form else json.dumps(given).encode()
    kind = "application/x-www-form-urlencoded" if form else "application/json; charset=utf-8"
    answer = http.post(url, body, {"Authorization": f"Bearer {token}", "Content-Type": kind})
    if answer.status != 200:
        raise http.refused(answer)
    method = url.rsplit("/", 1)[-1]
    try:
        said = json.loads(answer.body)
    except ValueError:
        raise DeliveryError(f"Slack's {method} answers no JSON") from None
    if not isinstance(said, dict) or not said.get("ok"):
        reason = said.get("error") if isinstance(said, dict) else None
        raise DeliveryError(f"Slack's {method} says {reason or 'no'}{ADVICE.get(str(reason), '')}")
    return said


ADVICE = {
    "not_in_channel": "; invite the app to the channel",
    "channel_not_found": "; it is the channel's id that is asked for, and the app must be in it",
    "missing_scope": "; the app needs files:write, and chat:write where no files are sent",
}


def _say(url: str, said: str) -> None:
    answer = http.post(url, json.dumps({"text": said}).encode(), {"Content-Type": "application/json"})
    if answer.status != 200:
        raise http.refused(answer)


def _plain(words: str) -> str:
    """Text that mentions nobody and links to nothing.

    >>> _plain("<!channel> & all")
    '&lt;!channel&gt; &amp; all'
    """
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
