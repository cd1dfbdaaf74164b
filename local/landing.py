"""The pages of the local stack, as HTML: where it stands, its buttons, and the mailbox. Needs no script.

Whatever comes from mails or tables is escaped by `Markup.format`.
"""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from local.desk import Done, Mail, Overview, Scores, kinds_due, to_json
from local.stack import Stack
from shared.domain.score import nps
from shared.domain.staff import Role

_PAGES = Path(__file__).parent / "pages"
_LATEST = 6  # mails of each kind
ENOUGH = 10  # answers from which a score is shown
FEW = 30  # answers below which it is a first impression
_NOTHING = Markup("")
_STAGES = {
    "eligible": ("Touchpoints reached", ""),
    "has_address": ("With an address", "{} % have an email address"),
    "not_held": ("Nothing against it", "{} % of them neither opted out nor on hold"),
    "sent": ("Asked", "{} % of them were sent the survey"),
    "delivered": ("Delivered", "{} % of those mails arrived"),
    "answered": ("Answered", "{} % of them answered"),
    "commented": ("With a comment", "{} % of them wrote a comment"),
}


def landing(stack: Stack, overview: Overview, mails: Sequence[Mail], done: Done | None) -> str:
    """Everything at a glance."""
    cards = [_clinic(overview.practice, is_whole=True), *map(_clinic, overview.clinics)]
    latest, zone = _latest(mails), overview.clock.tzinfo
    content = _fill(
        "landing.html",
        picture=_template("loop.svg"),
        dashboard=stack.dashboard_url,
        staff=_staff(stack),
        done=_done(done) if done else _NOTHING,
        clock=_moment(overview.clock),
        due=_due(overview),
        clinics=Markup("\n").join(cards),
        funnel=_funnel(overview.funnel),
        to_patients=_mails([entry for entry in latest if is_to_patient(entry[1])][:_LATEST], zone),
        to_staff=_mails([entry for entry in latest if not is_to_patient(entry[1])][:_LATEST], zone),
        count=f"{len(mails)} mails" if len(mails) != 1 else "1 mail",
        endpoint=stack.endpoint_url,
        stack=stack.stack_name,
        region=stack.region,
        mailbox=stack.mailbox_url,
    )
    return _page("Careloop on this machine", content)


def mailbox(mails: Sequence[Mail], zone: tzinfo) -> str:
    """Every mail, the latest first."""
    heading = Markup('<h1 class="page-title">Mailbox</h1>')
    return _page("Mailbox", heading + _mails(_latest(mails), zone, with_reader=True))


def opened(number: str, mail: Mail, zone: tzinfo) -> str:
    """One mail as its reader sees it: no script runs in it, and its links open in place of this page."""
    heads = {"From": mail["from"], "To": ", ".join(mail["to"]), "Sent": _moment(_sent_at(mail).astimezone(zone))}
    content = Markup('<h1 class="page-title">{}</h1><dl class="heads">{}</dl>').format(
        mail["subject"],
        _NOTHING.join(Markup("<dt>{}</dt><dd>{}</dd>").format(name, value) for name, value in heads.items()),
    )
    if mail["html"]:
        content += Markup(
            '<iframe class="letter {1}" title="The mail" sandbox="allow-top-navigation-by-user-activation" '
            'src="/mailbox/{0}/html"></iframe><p><a href="/mailbox/{0}/text">The same as plain text</a></p>'
        ).format(number, _reader(mail))
    else:
        content += Markup('<pre class="plain">{}</pre>').format(mail["text"])
    return _page(mail["subject"], content)


def message(title: str, text: str) -> str:
    """A page with one sentence on it."""
    return _page(title, Markup('<h1 class="page-title">{}</h1><p>{}</p>').format(title, text))


def _staff(stack: Stack) -> Markup:
    roles = {Role.OWNER: "Owner", Role.CLINIC_ADMIN: "Admin of one clinic", Role.THERAPIST: "Therapist"}
    return _NOTHING.join(
        Markup(
            '<article class="step"><h3>{}</h3><p>{}</p><dl class="counts"><dt>Username</dt><dd><code>{}</code></dd>'
            "<dt>Password</dt><dd><code>{}</code></dd></dl></article>"
        ).format(roles[Role(person["role"])], person["name"], person["email"], person["password"])
        for person in stack.staff
    )


def _done(done: Done) -> Markup:
    facts = _NOTHING.join(Markup("<li>{}</li>").format(fact) for fact in done.facts)
    return Markup(
        '<section class="done" id="done" role="status"><h2>{}</h2><ul>{}</ul>'
        "<details><summary>What was returned</summary><pre>{}</pre></details></section>"
    ).format(done.title, facts, to_json(done.returned))


def _due(overview: Overview) -> Markup:
    due = [Markup("<strong>{}</strong> {}").format(number, name) for name, number in kinds_due(overview.due)]
    return Markup("Due now: {}, {} and {}. Some may have to wait: no address, a hold, the pause.").format(*due)


def _clinic(scores: Scores, *, is_whole: bool = False) -> Markup:
    counts = scores.histogram
    answers, promoters, detractors = sum(counts), sum(counts[9:]), sum(counts[:7])
    groups = {"promoter": promoters, "passive": answers - promoters - detractors, "detractor": detractors}
    names = {"promoter": "Promoters", "passive": "Passives", "detractor": "Detractors"}
    score = nps(counts) if answers >= ENOUGH else None
    headline = (
        Markup('<p class="nps none">Not enough answers yet</p>')
        if score is None
        else Markup('<p class="nps"><strong>{}</strong> NPS</p>').format(str(score).replace("-", "−"))
    )
    bar = _NOTHING.join(
        Markup('<span class="{}" style="flex:{}"></span>').format(group, number)
        for group, number in groups.items()
        if number
    )
    rows = _NOTHING.join(
        Markup('<dt class="key {}">{}</dt><dd>{}</dd>').format(group, names[group], number)
        for group, number in groups.items()
    )
    few = Markup('<p class="few">Fewer than 30 answers: a first impression.</p>')
    return Markup(
        '<article class="clinic{}"><h3>{}</h3>{}<div class="bar" aria-hidden="true">{}</div>'
        '<dl class="counts">{}<dt class="sum">Answers</dt><dd class="sum">{}</dd></dl>{}</article>'
    ).format(
        Markup(" whole") if is_whole else "",
        scores.name,
        headline,
        bar,
        rows,
        answers,
        few if ENOUGH <= answers < FEW else "",
    )


def _funnel(funnel: dict[str, int]) -> Markup:
    if not funnel["eligible"]:
        return Markup('<p class="quiet">Nothing is counted yet. The nightly job does that.</p>')
    rows, before = [], funnel["eligible"]
    for stage, number in funnel.items():
        name, words = _STAGES[stage]
        share = words.format(round(100 * number / before)) if before else ""
        rows.append(
            Markup(
                '<tr><th scope="row">{}</th><td class="number">{}</td><td class="bars" aria-hidden="true">'
                '<span class="track"><span style="width:{:.1f}%"></span></span></td><td class="share">{}</td></tr>'
            ).format(name, number, 100 * number / funnel["eligible"], share)
        )
        before = number
    return Markup('<table class="funnel"><tbody>{}</tbody></table>').format(_NOTHING.join(rows))


def _mails(numbered: Sequence[tuple[int, Mail]], zone: tzinfo | None, *, with_reader: bool = False) -> Markup:
    if not numbered:
        return Markup('<p class="quiet">No mail yet.</p>')
    rows = _NOTHING.join(_row(number, mail, zone, with_reader) for number, mail in numbered)
    return Markup('<ul class="mails">{}</ul>').format(rows)


def _latest(mails: Sequence[Mail]) -> list[tuple[int, Mail]]:
    """The latest first, each with its number in the mailbox."""
    return list(enumerate(mails, start=1))[::-1]


def _row(number: int, mail: Mail, zone: tzinfo | None, with_reader: bool) -> Markup:
    who, sent_at = _reader(mail), _sent_at(mail).astimezone(zone)
    badge = Markup('<span class="badge {}">{}</span>').format(who, who.title()) if with_reader else _NOTHING
    return Markup(
        '<li><a href="/mailbox/{}">{}<span class="subject">{}</span><span class="to">{}</span>'
        '<time datetime="{}">{:%H:%M}</time></a></li>'
    ).format(number, badge, mail["subject"], ", ".join(mail["to"]), sent_at.isoformat(), sent_at)


def is_to_patient(mail: Mail) -> bool:
    """Patients can unsubscribe; staff mail has no such link."""
    return "/u/" in mail["text"]


def _reader(mail: Mail) -> str:
    return "patient" if is_to_patient(mail) else "staff"


def _sent_at(mail: Mail) -> datetime:
    return datetime.fromisoformat(mail["sent_at"])


def _moment(moment: datetime) -> str:
    return f"{moment:%A, %B %-d, %H:%M %Z}"


def _page(title: str, content: Markup) -> str:
    links = Markup('<a href="/">Overview</a><a href="/mailbox">Mailbox</a>')
    return str(_fill("page.html", title=title, style=_template("page.css"), links=links, content=content))


def _fill(name: str, **values: Any) -> Markup:
    return _template(name).format(**{key: escape(value) for key, value in values.items()})


@cache
def _template(name: str) -> Markup:
    return Markup((_PAGES / name).read_text())
