"""Sign-ins, under the hash of the secret that the browser holds: nobody can use what stands in the table."""

from pynamodb.exceptions import DoesNotExist, UpdateError

from shared.domain.staff import Role, Session, Staff
from shared.storage.conditions import condition_failed
from shared.storage.models import SessionItem


def create(session_id: str, session: Session) -> None:
    """Write down a new sign-in."""
    staff = session.staff
    SessionItem(
        session_id,
        user_id=staff.user_id,
        name=staff.name,
        email=staff.email,
        role=staff.role.value,
        clinics=set(staff.clinics) or None,
        therapist_id=staff.therapist_id,
        created_at=session.created_at,
        seen_at=session.seen_at,
        expires=_expires(session),
    ).save()


def find(session_id: str) -> Session | None:
    """The session as it stands now, over or not; an ended one is gone from the next request on."""
    try:
        item = SessionItem.get(session_id, consistent_read=True)
    except DoesNotExist:
        return None
    staff = Staff(
        item.user_id, item.name, item.email, Role(item.role), frozenset(item.clinics or ()), item.therapist_id
    )
    return Session(staff, item.created_at, item.seen_at)


def renew(session_id: str, session: Session) -> None:
    """Note that it was used; one that was ended meanwhile stays ended."""
    try:
        SessionItem(session_id).update(
            [SessionItem.seen_at.set(session.seen_at), SessionItem.expires.set(_expires(session))],
            condition=SessionItem.user_id.exists(),
        )
    except UpdateError as error:
        if not condition_failed(error):
            raise


def end(session_id: str) -> None:
    """Sign out; a session that is not there has ended already."""
    SessionItem(session_id).delete()


def end_all(user_id: str) -> None:
    """End every session of somebody whose access was changed or taken away."""
    for item in SessionItem.by_user.query(user_id):
        end(item.session_id)


def _expires(session: Session) -> int:
    return int(session.ends_at().timestamp())
