"""What a comment is about: themes and matters of safety, found by words and phrases in English and Spanish.

A comment is cut into words once and each is looked up, so the time grows with its length alone, whatever it holds.
Negation is not understood: "no wait at all" is about waiting. Somebody reads the comments; this sorts them.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

SAFETY = "safety "
"""How the name of a safety list begins, in the text that people edit."""

MOST_LISTS = 30
MOST_WORDS = 200  # of one list
MOST_LETTERS = 60  # of one word or phrase
MOST_TEXT = 20_000  # characters
_SHORTEST_STEM = 3

DEFAULT = """\
billing: bill, bills, billed, billing, invoice*, copay*, co-pay*, charge, charges, charged, overcharge*, insurance,
    insurer, refund*, deductible, payment*, expensive, price, prices, pricing, cost, costs, costly, statement,
    factura*, cobro, cobros, cobrar, cobraron, seguro medico, mi seguro, el seguro, aseguradora, pago, pagos, pagar,
    caro, cara, precio*, costo, costos, reembolso, deducible
scheduling: schedul*, reschedul*, appointment*, cancel*, book, booked, booking, availability, time slot*, calendar,
    double booked, cita, citas, horario*, agenda*, agendar, reprogram*, cancelar, cancelaron, cancelacion,
    disponibilidad
waiting: wait, waits, waited, waiting, late, delay*, on time, behind schedule, running behind, punctual*, an hour,
    half an hour, espera, esperar, esperando, esperamos, espere, esperado, tarde, retras*, demora*, puntual*,
    a tiempo, una hora, media hora
front_desk: front desk, front office, reception*, check-in, checkin, check-out, checkout, phone call*, on the phone,
    voicemail, answer the phone, return my call, returned my call, office staff, secretar*, recepcion*, el telefono,
    por telefono, la llamada, mis llamadas, contestan, la oficina
therapist: therapist*, pt, pts, pta, my therap*, clinician*, assistant, aide, aides, hands on, knowledgeable,
    terapeuta*, fisioterapeuta*, kinesiolog*, asistente
facility: facilit*, clean, cleaner, cleanliness, dirty, parking, bathroom*, restroom*, equipment, machine*, gym,
    crowded, noisy, cold, temperature, smell*, building, wheelchair, instalacion*, limpi*, sucio, sucia,
    estacionamiento, parqueo, bano, banos, equipo, equipos, maquina*, gimnasio, ruido*, edificio, silla de ruedas
outcome: pain, painful, better, worse, improv*, progress, recover*, heal*, stronger, strength, mobility,
    range of motion, back to, results, relief, no change, dolor, dolores, mejor, mejore, mejoria, mejorado,
    peor, empeor*, progres*, recuper*, fuerza, movilidad, resultado*, alivi*
communication: communicat*, explain*, explanation*, listen*, question*, answer my, informed, told me, unclear,
    confus*, instructions, rude, polite, respect*, friendly, kind, comunic*, explic*, escuch*, pregunt*, me dijo,
    me dijeron, instrucciones, grosero, grosera, amable*, respet*, cortes
safety fall: fell, fallen, fall down, falling down, had a fall, took a fall, nearly fall, almost fall, slipped, tripped,
    dropped me, passed out, fainted, me cai, se cayo, nos caimos, caida, caidas, caerme, casi me caigo, resbal*,
    tropece, tropezo, me desmay*, se desmay*
safety injury: injured me, hurt me, hurting me, hurt my, got hurt, was hurt, injured my, got injured, was injured,
    injured during, injured while, reinjur*, re-injur*, new injury, caused an injury, burn, burns, burned, burnt,
    bruise*, bleeding, bled, emergency room, ambulance, hospitalized, fracture during, me lastim*, me lesion*,
    me hizo dano, me hicieron dano, me quem*, quemadura*, moret*, sangr*, sala de emergencia*, ambulancia,
    hospitaliz*
safety self-harm: suicid*, kill myself, killing myself, end my life, ending my life, harm myself, self harm, self-harm,
    want to die, wanted to die, better off dead, no reason to live, matarme, quitarme la vida, hacerme dano,
    quiero morir, queria morir, no quiero vivir, acabar con mi vida
safety discrimination: discriminat*, racis*, sexis*, homophob*, transphob*, bigot*, slur, slurs, because of my race,
    because of my color, because of my age, because of my accent, because i am black, because i speak spanish,
    discrimin*, homofob*, transfob*, machis*, xenofob*, por mi raza, por mi color, por mi edad, por mi acento,
    por ser latin*, por hablar espanol
safety abuse: abus*, harass*, inappropriat*, assault*, molested, molesting, groped, fondled, touched me, yelled at me,
    screamed at me, threaten*, threats, acoso, acosa, acosaron, acosando, agredi*, agresi*, manose*, inapropiad*,
    amenaz*, maltrat*, me grito, me gritaron, me toco
"""
"""The lists a practice starts with. Words that people use of why they came (injury, torn, fracture) are left out."""

_WORD = re.compile(r"[^\W_]+")
_NAME = re.compile(r"[a-z][a-z0-9_ -]{0,28}[a-z0-9]")
_TERM = re.compile(r"[^\W_]+(?:[ '’-][^\W_]+)*\*?")


class BadLexicon(ValueError):
    """The edited lists cannot be read; the message says where, in words for people."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a comment is about, each in the order of the lists; `concerns` are matters of safety."""

    themes: tuple[str, ...] = ()
    concerns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Term:
    """A word or phrase of a list; `anchor` is the place of the word it is looked up by: the longest, so a rare one."""

    name: str
    words: tuple[str, ...]
    anchor: int
    ends_open: bool

    def stands_in(self, words: list[str], position: int) -> bool:
        """Whether the phrase is there, its anchor at this position; the last word of a stem may go on."""
        start = position - self.anchor
        if start < 0 or start + len(self.words) > len(words):
            return False
        *whole, last = words[start : start + len(self.words)]
        if whole != [*self.words[:-1]]:
            return False
        return last.startswith(self.words[-1]) if self.ends_open else last == self.words[-1]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Lists of words by name, and where to look up a comment's words."""

    lists: Mapping[str, tuple[str, ...]]
    _by_word: Mapping[str, list[Term]] = field(repr=False)
    _by_stem: Mapping[str, list[Term]] = field(repr=False)
    _stem_lengths: tuple[int, ...] = field(repr=False)

    @property
    def themes(self) -> tuple[str, ...]:
        """The names of the themes, in the order of the lists."""
        return tuple(name for name in self.lists if not name.startswith(SAFETY))

    def find(self, comment: str) -> Found:
        """The themes and concerns of a comment: whole words and phrases, whatever the case and the accents."""
        words = _words(comment)
        names: set[str] = set()
        for position, word in enumerate(words):
            for term in self._terms_at(word):
                if term.name not in names and term.stands_in(words, position):
                    names.add(term.name)
        found = [name for name in self.lists if name in names]
        return Found(
            tuple(name for name in found if not name.startswith(SAFETY)),
            tuple(name.removeprefix(SAFETY) for name in found if name.startswith(SAFETY)),
        )

    def _terms_at(self, word: str) -> list[Term]:
        terms = self._by_word.get(word, _NO_TERMS)
        for length in self._stem_lengths:
            if length > len(word):
                break
            if stems := self._by_stem.get(word[:length]):
                terms = terms + stems
        return terms


_NO_TERMS: list[Term] = []


def _words(text: str) -> list[str]:
    if text.isascii():
        return _WORD.findall(text.lower())
    bare = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return _WORD.findall(bare.casefold())


@cache
def default_lexicon() -> Lexicon:
    """The lists a practice starts with."""
    return _lexicon(_read(DEFAULT))


def parse_lexicon(text: str) -> Lexicon:
    """Read edited lists: `theme: word, some phrase, stem*` a line, further lines of a list indented.

    A list named `safety …` marks comments for a clinical lead. Safety lists that the text leaves out stay as they
    are by default: no slip of the hand may switch them off. Raises BadLexicon with a message for the editor.
    """
    lists = _read(text)
    if not any(not name.startswith(SAFETY) for name in lists):
        raise BadLexicon("There is no theme. A line such as “billing: bill, invoice*” makes one.")
    defaults = default_lexicon().lists
    return _lexicon({**lists, **{n: words for n, words in defaults.items() if n.startswith(SAFETY) and n not in lists}})


def lexicon_text(lexicon: Lexicon) -> str:
    """The lists as people edit them; reading the text gives the same lists."""
    return "\n".join(f"{name}: {', '.join(words)}" for name, words in lexicon.lists.items()) + "\n"


def _read(text: str) -> dict[str, tuple[str, ...]]:
    if len(text) > MOST_TEXT:
        raise BadLexicon(f"The text is longer than {MOST_TEXT:,} characters.")
    lists: dict[str, list[str]] = {}
    name = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        terms = line
        if ":" in line:
            given, _, terms = line.partition(":")
            name = _name(given, number)
            if name in lists:
                raise BadLexicon(f"Line {number}: there is a list named “{name}” above.")
            lists[name] = []
        elif not name or not line[0].isspace():
            raise BadLexicon(f"Line {number}: a line begins with the name of a list and a colon.")
        lists[name].extend(_term(term, number) for term in terms.split(",") if term.strip())
    if len(lists) > MOST_LISTS:
        raise BadLexicon(f"There are more than {MOST_LISTS} lists.")
    for name, words in lists.items():
        if not words:
            raise BadLexicon(f"The list “{name}” has no words.")
        if len(words) > MOST_WORDS:
            raise BadLexicon(f"The list “{name}” has more than {MOST_WORDS} words.")
    return {name: tuple(dict.fromkeys(words)) for name, words in lists.items()}


def _name(text: str, line: int) -> str:
    name = " ".join(text.lower().split())
    if not _NAME.fullmatch(name):
        raise BadLexicon(f"Line {line}: a list's name has 2 to 30 plain letters, such as “front desk”.")
    return name if name.startswith(SAFETY) else name.replace(" ", "_")


def _term(text: str, line: int) -> str:
    term = " ".join(text.lower().split())
    if len(term) > MOST_LETTERS:
        raise BadLexicon(f"Line {line}: a word or phrase has at most {MOST_LETTERS} letters.")
    if not _TERM.fullmatch(term):
        raise BadLexicon(f"Line {line}: words are separated by commas; “*” may stand at the end only: “{term}”.")
    if term.endswith("*") and len(_words(term)[-1]) < _SHORTEST_STEM:
        raise BadLexicon(f"Line {line}: at least {_SHORTEST_STEM} letters stand before “*”: “{term}”.")
    return term


def _lexicon(lists: Mapping[str, tuple[str, ...]]) -> Lexicon:
    by_word: dict[str, list[Term]] = {}
    by_stem: dict[str, list[Term]] = {}
    for name, text in ((name, text) for name, texts in lists.items() for text in texts):
        words = tuple(_words(text))
        anchor = max(range(len(words)), key=lambda place: len(words[place]))
        term = Term(name, words, anchor, text.endswith("*"))
        index = by_stem if term.ends_open and anchor == len(words) - 1 else by_word
        index.setdefault(words[anchor], []).append(term)
    return Lexicon(lists, by_word, by_stem, tuple(sorted({len(stem) for stem in by_stem})))
