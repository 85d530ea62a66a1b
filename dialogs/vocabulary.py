"""The words that the dialog is written in: states, events, effects, and what is known when a text is read."""

from dataclasses import dataclass, field
from enum import StrEnum, auto

from dialogs.audit_vocabulary import Record, RecordOrder
from dialogs.staff_vocabulary import ChangeEffect, MoveChange, StaffEffect, StaffEvent, StaffFacts


class State(StrEnum):
    """Where one phone's conversation stands. IDLE holds for ever; every other state ends by itself."""

    IDLE = auto()
    AWAITING_ID = auto()
    AWAITING_CODE = auto()
    AWAITING_CODE_TO_CHANGE = auto()  # the code was asked for to change a password
    # A staff member's word for an order came alone: the ID that follows is the order's.
    AWAITING_ID_TO_RESET = auto()
    AWAITING_ID_TO_UNLOCK = auto()
    AWAITING_ID_FOR_STATUS = auto()


class CodePurpose(StrEnum):
    """What a one-time password is for. It is good for nothing else."""

    RECOVERY = auto()  # a generated password
    CHANGE = auto()  # a password of the pilgrim's own
    STAFF_ORDER = auto()  # what a staff member has ordered is carried out
    CONSOLE = auto()  # a staff member logs in to the console, in a browser that is new to it
    OWN_BROWSER = auto()  # or in one in which they have logged in before
    STAFF_CHANGE = auto()  # a staff member adds or removes another


class Event(StrEnum):
    """What a text turned out to mean, with every condition folded into the name."""

    # A request for a code, by the keyword, the national ID or both.
    ASKED = auto()  # from the registered mobile, within all limits
    ASKED_TOO_SOON = auto()  # the last code is still fresh and live
    ASKED_TOO_OFTEN = auto()  # the hour's or the day's codes are used up
    ASKED_FROM_OTHER_PHONE = auto()  # the code goes to the registered mobile all the same
    ASKED_IN_VAIN = auto()  # unknown ID, inactive, locked, or another phone beyond its limits
    ASKED_WITHOUT_ID = auto()
    ASKED_WITH_INVALID_ID = auto()
    ASKED_WITH_SEVERAL_IDS = auto()
    ASKED_WITH_FOREIGN_ID = auto()  # twelve digits: a foreign national's identifier
    ASKED_BEFORE_SEASON = auto()  # the opening date is known
    ASKED_OUT_OF_SEASON = auto()  # it is not
    ASKED_TO_CHANGE = auto()  # as ASKED, to change a password by text
    ASKED_TO_CHANGE_AT_FAKHER = auto()  # the same, where the operator does not allow passwords by text
    ASKED_TO_CHANGE_TOO_SOON = auto()
    ASKED_TO_CHANGE_WITHOUT_ID = auto()

    # A code, texted back.
    RIGHT_CODE = auto()
    RIGHT_CODE_FOR_FAKHER = auto()  # one for a change, where passwords are not taken by text: it stays good
    RIGHT_CODE_WITHOUT_PASSWORD = auto()  # one for a change, where they are: it stays good
    RIGHT_CODE_AND_PASSWORD = auto()  # a password of their own stands in the same text
    RIGHT_CODE_AND_SHORT_PASSWORD = auto()  # a weak one leaves the code good, its try spent
    RIGHT_CODE_AND_COMMON_PASSWORD = auto()
    RIGHT_CODE_AND_PERSONAL_PASSWORD = auto()  # it holds the user name, national ID or mobile
    LAST_RIGHT_CODE = auto()  # one that does nothing, though this was its last try: it is no longer good
    WRONG_CODE = auto()
    LAST_WRONG_CODE = auto()  # the code's last try
    LOCKING_WRONG_CODE = auto()  # the account's last failure in a row
    NO_LIVE_CODE = auto()  # expired, used, voided, or never sent to this phone
    CODE_UNDER_UNKNOWN_KEY = auto()  # this process lacks the key that made it: no try is spent
    CODE_WHILE_OPTED_OUT = auto()

    OFFERED_OWN_PASSWORD = auto()  # where the operator does not allow it by text

    # Words that hold in every state.
    HELP = auto()
    CANCEL = auto()
    NOTHING_TO_CANCEL = auto()
    OBJECTED = auto()  # to a change of this mobile, which staff have ordered
    STOP = auto()
    OBJECTED_BY_STOP = auto()
    START = auto()
    NOTHING_TO_START = auto()  # the phone is not opted out

    # From staff: an order that names nobody yet.
    RESET_ORDERED_WITHOUT_ID = auto()
    UNLOCK_ORDERED_WITHOUT_ID = auto()
    STATUS_ORDERED_WITHOUT_ID = auto()

    NOT_UNDERSTOOD = auto()
    UNANSWERED = auto()  # opted out
    TIMED_OUT = auto()  # the state's time has passed


AnyEvent = Event | StaffEvent


class FakherEvent(StrEnum):
    """What Fakher is told, so that it ends open sessions: the types of its webhook messages."""

    PASSWORD_RECOVERED = "password.recovered"  # noqa: S105
    PASSWORD_CHANGED = "password.changed"  # noqa: S105
    RECOVERY_LOCKED = "recovery.locked"


@dataclass(frozen=True)
class SendCode:
    """A new one-time password to the registered mobile, in a phrase; it voids the older one."""

    phrase: str = "code"
    purpose: CodePurpose = CodePurpose.RECOVERY


@dataclass(frozen=True)
class SetNewPassword:
    """A generated, temporary password, set and texted to the registered mobile. The code is used up."""


@dataclass(frozen=True)
class SetOwnPassword:
    """The password that the text brought beside the code, set. The code is used up."""


@dataclass(frozen=True)
class DropCode:
    """The codes that were sent to this phone are no longer good."""


@dataclass(frozen=True)
class BurnCode:
    """The code has no try left; a new one can be asked for."""


@dataclass(frozen=True)
class LockAccount:
    """No code works for the account until staff unlock it. An alarm is raised, and Fakher is told."""


@dataclass(frozen=True)
class OptOut:
    """Nothing but notices that protect the account is sent to this phone until it asks again."""


@dataclass(frozen=True)
class OptIn:
    """The phone consents to being texted."""


@dataclass(frozen=True)
class Reply:
    """A reply to the phone that texted, by its phrase key.

    One with `per_hour` moves nothing forward, so it is left out once that many such replies went to the phone
    within an hour (dialogs/reply_caps.py). One without says what was done: it is always sent.
    """

    phrase: str
    per_hour: int | None = None


@dataclass(frozen=True)
class Notify:
    """A notice to the registered mobile, and to the one before it where it has changed of late."""

    phrase: str


@dataclass(frozen=True)
class NotifyFormer:
    """A notice to the mobile before the registered one, where it has changed of late."""

    phrase: str


@dataclass(frozen=True)
class TellFakher:
    """An event for Fakher, about the account."""

    event: FakherEvent


Effect = (
    SendCode
    | SetNewPassword
    | SetOwnPassword
    | DropCode
    | BurnCode
    | LockAccount
    | OptOut
    | OptIn
    | Reply
    | Notify
    | NotifyFormer
    | TellFakher
    | Record
    | RecordOrder
    | MoveChange
    | StaffEffect
    | ChangeEffect
)


class Intent(StrEnum):
    """What a text asks for, read by itself, before anything is known of its sender."""

    RECOVER = auto()
    CHANGE = auto()
    CODE = auto()
    HELP = auto()
    CANCEL = auto()
    OPT_OUT = auto()
    OPT_IN = auto()
    STAFF_RESET = auto()
    STAFF_STATUS = auto()
    STAFF_UNLOCK = auto()
    STAFF_STATS = auto()
    STAFF_MOBILE = auto()
    UNKNOWN = auto()


class Evidence(StrEnum):
    """What a decision about a text rests on; dialogs/parsing/rules.py says what follows from it."""

    # Facts, which no text tells.
    CODE_IS_OUT = "a code is out to this phone"
    FROM_STAFF = "the sender is staff"

    # Numbers.
    CODE = "one run as long as a code"
    ID = "one national ID"
    BADLY_NAMED = "a number in the place of an ID"
    LABELLED = "the number has another name, or is a bank's"

    # Whole texts.
    STOP_COMMAND = "it says stop and nothing else"
    CANCEL_COMMAND = "it says cancel and nothing else"
    START_COMMAND = "it says start and nothing else"
    HELP_COMMAND = "it says help and nothing else"
    ORDER_ALONE = "it says what staff say and nothing else"
    REFUSED = "it plainly refuses"

    # Words.
    ASKS = "words for a password or its recovery"
    RESET = "words for a reset"
    STATUS = "words for a status, or for being locked"
    UNLOCK = "words for unlocking"
    STATS = "words for figures"
    NEGATED = "a negation"
    SELLS = "what banks and advertisements say"
    WANTS_STATUS = "the status of somebody"
    WANTS_UNLOCK = "somebody to be unlocked"
    WANTS_MOBILE = "the mobile of somebody"
    WANTS_HELP = "a wish for help"
    WANTS_CHANGE = "a wish for a change"
    BRINGS_CODE = "a code, and no more than is said with one"
    WANTS_RECOVERY = "a wish for a password"
    LACKS_CODE = "a code that has not come"
    NAMES_ITSELF = "an ID, or what is near one, and little else"


class Naming(StrEnum):
    """How a text names a person."""

    NOBODY = auto()
    ONE = auto()
    SEVERAL = auto()
    INVALID = auto()
    FOREIGN = auto()


@dataclass(frozen=True)
class ParsedMessage:
    """A text, understood as far as it goes by itself. It holds no part of the text but these.

    `national_id` is ten ASCII digits with a right check digit, present just when `naming` is ONE.
    `code` is a lone run of as many digits as a code has, in ASCII. `language` is a language
    file's name where the text tells, else None. `own_password` says that a password of the
    sender's own stands beside a code; `password_follows` that what follows a code can be one,
    if one is awaited, and `phrase_follows` that it is several words which can.
    `mobile` is a number beside the ID that may be a mobile's, in ASCII digits;
    `objects` says that the text is a plain no. `intent` is what it asks for where no code is out and
    the sender is not staff; `evidence` is what that was decided by, and holds nothing of the text.
    """

    intent: Intent
    naming: Naming = Naming.NOBODY
    national_id: str | None = None
    code: str | None = None
    language: str | None = None
    own_password: bool = False
    password_follows: bool = False
    phrase_follows: bool = False
    mobile: str | None = None
    objects: bool = False
    evidence: frozenset[Evidence] = field(default=frozenset(), compare=False)

    def __repr__(self) -> str:
        return f"ParsedMessage({self.intent}, {self.naming}, code={self.code is not None}, language={self.language})"


class Season(StrEnum):
    """Whether the Umrah operation is on."""

    OPEN = auto()
    OPENS_LATER = auto()
    CLOSED = auto()


class Asker(StrEnum):
    """Whose account a request names, as seen from the phone that asks."""

    OWNER = auto()  # the registered mobile of an account in good standing
    OTHER_PHONE = auto()  # an account in good standing, another phone
    STRANGER = auto()  # unknown, inactive or locked


class Allowance(StrEnum):
    """Whether a code may be sent now."""

    YES = auto()
    TOO_SOON = auto()
    TOO_OFTEN = auto()


class CodeResult(StrEnum):
    """What became of a code that was handed back, by text, to Fakher or at the console; the try is spent by then."""

    RIGHT = auto()
    WRONG = auto()
    LAST_WRONG = auto()  # no try is left
    LOCKING_WRONG = auto()  # the account's last failure in a row
    NO_LIVE_CODE = auto()
    UNKNOWN_KEY = auto()  # this process lacks the key that made it, so it can say nothing: no try is spent


class OwnPasswordVerdict(StrEnum):
    """What a password of one's own is worth."""

    GOOD = auto()
    SHORT = auto()
    COMMON = auto()
    PERSONAL = auto()


@dataclass(frozen=True)
class Facts:
    """All that the dialog knows besides the text.

    `result` is there just when the text hands back a code, and `purpose` what that code is for, where there is one.
    `*_this_hour` count replies to this phone: `hints` those with HINTS_PER_HOUR, in an hour that begins with the
    first; `unparsed_replies` those with UNPARSED_PER_HOUR, until an hour has passed since the last.
    `named_this_hour` says that it has asked for somebody's code of late, by a right ID, if only by this text.
    """

    state: State = State.IDLE
    season: Season = Season.OPEN
    asker: Asker = Asker.STRANGER
    allowance: Allowance = Allowance.YES
    in_dialog: bool = False  # a conversation is open, or a code sent to this phone is live
    result: CodeResult | None = None
    purpose: CodePurpose | None = None
    was_last_try: bool = False  # of the right code
    password: OwnPasswordVerdict | None = None
    own_password_allowed: bool = False
    mobile_held: bool = False  # staff are changing the mobile that this phone is
    staff: StaffFacts | None = None  # where a staff member's number texts
    opted_out: bool = False
    named_this_hour: bool = False
    starts_this_hour: int = 0  # that have ended a STOP
    unparsed_replies_this_hour: int = 0
    hints_this_hour: int = 0
