"""What made-up patients answer: scores as clinics really get them, and comments in English and Spanish."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from shared.domain.patient import Language
from shared.domain.score import Category, classify

_ANSWER_SHARE = 0.38  # of those who get the survey
_REMINDED_SHARE = 0.2  # of those who get the reminder
_COMMENT_SHARE = 0.6
_STOP_SHARE = 0.012
_BEFORE_REMINDER = timedelta(hours=66)
_SCORES = {
    Category.PROMOTER: ((10, 9), (0.68, 0.32)),
    Category.PASSIVE: ((8, 7), (0.66, 0.34)),
    Category.DETRACTOR: ((6, 5, 4, 3, 2, 1, 0), (0.34, 0.24, 0.14, 0.12, 0.07, 0.04, 0.05)),
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a patient does with a mail, and how long after it came; a score of None unsubscribes."""

    after: timedelta
    score: int | None
    comment: str


def reply(
    chance: random.Random, happiness: tuple[float, float], language: Language, *, is_reminder: bool
) -> Reply | None:
    """What comes of a survey or its reminder; None when the patient lets it lie, as most do."""
    does = chance.random()
    if does < _STOP_SHARE:
        return Reply(timedelta(minutes=chance.randint(5, 600)), None, "")
    if does > _STOP_SHARE + (_REMINDED_SHARE if is_reminder else _ANSWER_SHARE):
        return None
    hours = chance.lognormvariate(1.6, 1.3)  # half within five hours, some after days
    score, comment = an_answer(chance, happiness, language)
    return Reply(min(timedelta(minutes=4, hours=hours), _BEFORE_REMINDER), score, comment)


def an_answer(chance: random.Random, happiness: tuple[float, float], language: Language) -> tuple[int, str]:
    """A score and, more often than not, a comment."""
    promoters, passives = happiness
    groups = (Category.PROMOTER, Category.PASSIVE, Category.DETRACTOR)
    group = chance.choices(groups, (promoters, passives, 1 - promoters - passives))[0]
    scores, shares = _SCORES[group]
    score = chance.choices(scores, shares)[0]
    comment = chance.choice(_COMMENTS[language][classify(score)]) if chance.random() < _COMMENT_SHARE else ""
    return score, comment


_COMMENTS: Mapping[Language, Mapping[Category, tuple[str, ...]]] = {
    Language.ENGLISH: {
        Category.PROMOTER: (
            "My therapist explained every exercise and why it matters. I can climb stairs again.",
            "Everyone at the front desk knows my name. I look forward to coming.",
            "They listened first and treated second. I have never had that before.",
            "Back to gardening after three weeks. Thank you!",
            "Clear plan from day one, and we stuck to it.",
            "Always on time, always kind.",
            "I told my sister to come here and she is just as happy.",
            "Great hands, great patience, and we laughed a lot.",
            "They called to ask how I was doing after a bad night. Who does that?",
            "The exercises come with pictures, so I actually do them.",
            "Slept through the night for the first time in months.",
            "Everybody here pulls in the same direction.",
        ),
        Category.PASSIVE: (
            "Good care, but I saw three different people in six visits.",
            "Therapy is great. Parking is not.",
            "Helpful, though the evening times are hard to get.",
            "It is getting better slowly. I would like to know how long it takes.",
            "Nice people. It can be loud when the gym is full.",
            "I would have liked the exercises in writing.",
            "Good, but I often wait ten minutes or so.",
        ),
        Category.DETRACTOR: (
            "I waited 35 minutes twice and nobody said a word.",
            "It felt rushed. I was left alone with a band most of the time.",
            "The bill was not what I was told on the phone.",
            "Two appointments were cancelled the same morning. I take time off work for this.",
            "I hurt more after the visit and could not reach anyone.",
            "Each time a new therapist, and each time I told my story again.",
            "I asked about my shoulder and was given a sheet for the knee.",
        ),
    },
    Language.SPANISH: {
        Category.PROMOTER: (
            "Me explicaron todo en español y con mucha paciencia.",
            "Ya puedo cargar a mi nieta otra vez. ¡Gracias!",
            "Excelente trato desde la recepción hasta la terapeuta.",
            "Los ejercicios son claros y se nota la mejoría.",
            "Siempre puntuales y muy amables.",
            "Me escuchan de verdad. Lo recomiendo a toda mi familia.",
        ),
        Category.PASSIVE: (
            "Muy buena atención, pero es difícil conseguir cita por la tarde.",
            "Todo bien, aunque a veces hay que esperar.",
            "Me gustaría recibir los ejercicios por escrito en español.",
        ),
        Category.DETRACTOR: (
            "Esperé más de media hora y nadie me avisó.",
            "Nadie en la recepción hablaba español ese día.",
            "Cada vez me atiende otra persona y tengo que explicar todo de nuevo.",
        ),
    },
}
