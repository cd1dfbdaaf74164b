"""Cost of a thousand surveys

The units of every step are metered as in "A survey's way", multiplied by how often the step happens for a thousand
surveys, and priced; docs/cost.md tells every line, price and assumption.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from bench import journey, plots, report
from bench.figure import Figure
from bench.journey import Step

DOCUMENT = report.ROOT / "docs" / "cost.md"
CHART = report.IMAGES / "cost.svg"

# Dollars, us-east-1, arm64, first tier, without any free tier. `PRICES_OF` says when and where they were looked up.
PRICES_OF = "November 2026"
PRICES: dict[str, tuple[float, str, str]] = {
    "mail": (0.10 / 1000, "a mail", "aws.amazon.com/ses/pricing"),
    "wru": (0.625 / 1e6, "a write request unit", "aws.amazon.com/dynamodb/pricing/on-demand"),
    "rru": (0.125 / 1e6, "a read request unit", "aws.amazon.com/dynamodb/pricing/on-demand"),
    "stored": (0.25 + 0.20, "a GB-month, kept and recoverable to any second", "aws.amazon.com/dynamodb/pricing"),
    "request": (0.20 / 1e6, "a Lambda request", "aws.amazon.com/lambda/pricing"),
    "gb_second": (0.0000133334, "a GB-second of Lambda on arm64", "aws.amazon.com/lambda/pricing"),
    "api": (3.50 / 1e6, "a request to a REST API", "aws.amazon.com/api-gateway/pricing"),
    "log": (0.50, "a GB of logs taken in", "aws.amazon.com/cloudwatch/pricing"),
    "alarm": (0.10, "an alarm a month", "aws.amazon.com/cloudwatch/pricing"),
    "metric": (0.30, "a metric a month, by the hours in which it was told", "aws.amazon.com/cloudwatch/pricing"),
    "key": (1.00, "a KMS key a month; each of its first two yearly rotations adds one", "aws.amazon.com/kms/pricing"),
    "key_use": (0.03 / 10_000, "a request to KMS", "aws.amazon.com/kms/pricing"),
    "secret": (0.40, "a secret a month", "aws.amazon.com/secrets-manager/pricing"),
    "put": (0.005 / 1000, "an S3 PUT or LIST", "aws.amazon.com/s3/pricing"),
}
FREE = (
    "SES's events on the default bus, the schedules (below 14 million a month), Lambda's reading of the stream, and "
    "the page of `make dashboard` (an account has three such pages of up to 50 metrics)"
)

SURVEYS = 1000
OFTEN: dict[str, tuple[float, str]] = {
    "patients": (0.33, "new patients a survey: three touchpoints a course of care"),
    "visits": (2.33, "visits a survey: seven a course"),
    "early": (0.20, "answer within three days and get no reminder"),
    "answers": (0.30, "answer at all"),
    "promoters": (0.70, "of the answers lead to a review request"),
    "detractors": (0.10, "of the answers alert the staff, in one mail"),
    "looks": (1.3, "pages opened by the patient for each answer"),
    "scans": (1.5, "pages opened by a mail scanner for each that a patient opens: 60 % of all clicks"),
    "links": (13, "links in a survey's mail that lead to a function: eleven scores, the survey, the opt-out"),
    "cold": (0.90, "of pages, answers and reactions meet a cold function, and a tenth of delivery events"),
    "counts": (1.5, "nights that count a survey: after it was sent, after its answer"),
    "events": (2.0, "events of SES for each mail: sent and delivered"),
}
CALL_SECONDS, SES_SECONDS = 0.005, 0.040  # waiting for DynamoDB and for SES
VCPU_MEMORY = 1769  # MB at which a function has one processor; below it has a share
RATE = 0.97 * 14  # mails a second of a sending run, in a new SES account
LOG_BYTES = 700  # of one invocation: START, END, REPORT and our own line
FREE_FOR_EVER = {"Lambda requests": 1e6, "Lambda time": 400_000, "CloudWatch logs": 5_000}
"""A month, in an account of whatever age: requests, GB-seconds, MB."""
COLD_SECONDS = 0.40  # of an init, if bench/results/cold_start.json says nothing else

KEEPS: dict[str, str] = {
    "alarm": "Each names one thing that stopped, and where to read on. Ten are free in an account.",
    "key": "The practice's own key: who may use it is the practice's to say, and deleting it ends every copy.",
    "secret": "The hash key: kept when the stack is deleted, and not derivable from anything.",
    "metric": "Told only when something happens, and billed for those hours; a tenth of the month is assumed.",
    "runs": "What the schedules cost however little is due, each start cold.",
    "key_use": "Tables, secret and log groups ask for their data keys every five minutes in use; an upper bound.",
    "list": "The sweeps for unfinished imports and erasures, every fifteen minutes.",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill; dollars for a thousand surveys, or for a month."""

    name: str
    dollars: float
    of_what: str
    units: float = 0


def measure() -> list[Figure]:
    """The bill of a thousand surveys beside SES's own part of it; writes docs/cost.md."""
    taken = journey.walk()
    lines, month = variable(taken), fixed(taken)
    whole, ses = sum(line.dollars for line in lines), lines[0].dollars
    within = whole - sum(line.dollars for line in lines if line.name in FREE_FOR_EVER)
    links = OFTEN["links"][0]
    with_links = how_often()["a survey is sent"] + how_often()["a reminder is sent"]
    everything = with_links * links / how_often(0)["a page is opened"]
    plots.bars([(line.name, line.dollars * 100) for line in lines], "US cents for a thousand surveys", CHART)
    scanned = {
        scans: sum(line.dollars for line in variable(taken, scans)) / ses for scans in (0, 1.5, 5, 15, everything)
    }
    DOCUMENT.write_text(_document(lines, month, scanned, taken))
    return [
        Figure(
            "variable cost ÷ SES's own price",
            f"A thousand surveys, {mails():,.0f} mails, 60 % of all clicks by scanners; docs/cost.md has the lines.",
            whole, "$", "ratio", floor=ses, ratio=whole / ses, target=1.25, too_much=1.4, note="Without any free tier.",
        ),
        Figure(
            "the same within the tiers that stay free",
            f"Lambda's and the logs', which no account of fewer than {_free_until(lines):,.0f} surveys a month leaves.",
            within, "$", "ratio", floor=ses, ratio=within / ses, target=1.25, too_much=1.4,
        ),
        Figure(
            "fixed cost", "A month of the stack without a survey.", sum(line.dollars for line in month), "$",
            "absolute",
        ),
    ]  # fmt: skip


def variable(taken: Mapping[str, Step], scans: float | None = None) -> list[Line]:
    """The lines for a thousand surveys, SES first; `scans` instead of the assumed number of scanners' visits."""
    often = how_often(scans)
    wru, rru = (sum(times * getattr(taken[name], unit) for name, times in often.items()) for unit in ("wru", "rru"))
    requests, seconds = _lambda(taken, often)
    pages = often["a page is opened"] + often["an answer"]
    logs = requests * LOG_BYTES / 1e9
    return [
        Line("SES", mails() * _price("mail"), f"{mails():,.0f} mails"),
        Line("DynamoDB writes", wru * _price("wru"), f"{wru:,.0f} WRU"),
        Line("DynamoDB reads", rru * _price("rru"), f"{rru:,.0f} RRU"),
        Line("Lambda requests", requests * _price("request"), f"{requests:,.0f} requests", requests),
        Line("Lambda time", seconds * _price("gb_second"), f"{seconds:,.0f} GB-seconds, starts included", seconds),
        Line("API Gateway", pages * _price("api"), f"{pages:,.0f} requests, scanners' included"),
        Line("CloudWatch logs", logs * _price("log"), f"{logs * 1000:.1f} MB", logs * 1000),
        Line("S3", 8 * _price("put"), "one export with its notes and report"),
    ]


def fixed(taken: Mapping[str, Step]) -> list[Line]:
    """The lines of a month in which nothing happens."""
    resources = template()
    kinds = [resource["Type"] for resource in resources.values()]
    runs = _runs(resources)
    memory = memory_of(resources)
    sending, night = taken["a sending run without work"], taken["a night without work"]
    seconds = wru = rru = 0.0
    for function, times in runs.items():
        step = sending if function == "SendSurveyFunction" else night
        seconds += times * _gb_seconds(function, step, memory[function], cold=1)
        wru, rru = wru + times * step.wru, rru + times * step.rru
    calls = sum(runs.values())
    bill = calls * (_price("request") + LOG_BYTES / 1e9 * _price("log")) + seconds * _price("gb_second")
    bill += wru * _price("wru") + rru * _price("rru")
    alarms = kinds.count("AWS::CloudWatch::Alarm")
    uses = 12 * 730 * 4  # four things in use at any time: two tables, the secret's envelope, a log group
    lists = sum(times for name, times in runs.items() if name in ("ImportVisitsFunction", "ErasePatientFunction"))
    return [
        Line(f"{alarms} alarms", alarms * _price("alarm"), KEEPS["alarm"]),
        Line("the data key", kinds.count("AWS::KMS::Key") * _price("key"), KEEPS["key"]),
        Line("the secret", kinds.count("AWS::SecretsManager::Secret") * _price("secret"), KEEPS["secret"]),
        Line("metrics of our own", 0.1 * _price("metric"), KEEPS["metric"]),
        Line(f"{calls:,.0f} scheduled runs", bill, KEEPS["runs"]),
        Line("requests to KMS", uses * _price("key_use"), KEEPS["key_use"]),
        Line("lists of S3", lists * _price("put"), KEEPS["list"]),
    ]


def _free_until(lines: Iterable[Line]) -> float:
    """The surveys a month up to which nothing of Lambda and the logs is billed."""
    return min(FREE_FOR_EVER[line.name] / line.units for line in lines if line.name in FREE_FOR_EVER) * SURVEYS


def how_often(scans: float | None = None) -> dict[str, float]:
    """How often each step happens for a thousand surveys."""
    share = {name: number for name, (number, _) in OFTEN.items()}
    scans = share["scans"] if scans is None else scans
    answers = SURVEYS * share["answers"]
    reviews = answers * share["promoters"]
    reminded = SURVEYS * (1 - share["early"])
    patient_mails = SURVEYS + reminded + reviews
    return {
        "a patient": SURVEYS * share["patients"],
        "a visit": SURVEYS * (share["visits"] - 1),
        "a touchpoint": SURVEYS,
        "a survey is sent": SURVEYS,
        "a reminder is sent": reminded,
        "a reminder is settled": SURVEYS - reminded,
        "a review request is made": reviews,
        "a review request is sent": reviews,
        "a Send event": patient_mails * share["events"] / 2,
        "a Delivery event of a survey": patient_mails * share["events"] / 2,
        "a page is opened": answers * share["looks"] * (1 + scans),
        "an answer": answers,
        "an alert": answers * share["detractors"],
        "a survey is counted": SURVEYS * share["counts"],
    }


def mails() -> float:
    """The mails of a thousand surveys."""
    often = how_often()
    return sum(
        often[name] for name in ("a survey is sent", "a reminder is sent", "a review request is sent", "an alert")
    )


_RUN_BY = {
    "a page is opened": "RecordResponseFunction",
    "an answer": "RecordResponseFunction",
    "an alert": "AlertStaffFunction",
    "a review request is made": "RequestReviewFunction",
    "a Send event": "TrackDeliveryFunction",
    "a Delivery event of a survey": "TrackDeliveryFunction",
}
"""Steps that are an invocation each; the others share those of a run or of a file."""


def _lambda(taken: Mapping[str, Step], often: Mapping[str, float]) -> tuple[float, float]:
    """Requests and GB-seconds; sending takes as long as the rate says, and a file as long as its calls."""
    memory = memory_of(template())
    requests = seconds = 0.0
    for name, times in often.items():
        step = taken[name]
        if function := _RUN_BY.get(name):
            cold = OFTEN["cold"][0] * (0.1 if function == "TrackDeliveryFunction" else 1)
            requests += times
            seconds += times * _gb_seconds(function, step, memory[function], cold)
        elif step.mails:
            seconds += times / RATE * memory["SendSurveyFunction"] / 1024
        else:
            function = "AggregateScoresFunction" if name == "a survey is counted" else "ImportVisitsFunction"
            seconds += times * _gb_seconds(function, step, memory[function], cold=0)
    return requests, seconds


def _gb_seconds(function: str, step: Step, memory: int, cold: float) -> float:
    """Of one invocation: its own CPU on its share of a processor, waiting, and the start if it is cold."""
    share = min(1.0, memory / VCPU_MEMORY)
    waiting = step.calls * CALL_SECONDS + step.mails * SES_SECONDS
    return (step.cpu / share + waiting + cold * _cold_seconds(function)) * memory / 1024


def _cold_seconds(function: str) -> float:
    """As the cold start's benchmark measured it last."""
    result = report.load("cold_start")
    inits = {figure.name: figure.measured / 1000 for figure in result.figures} if result else {}
    return inits.get(f"init of {function}", COLD_SECONDS)


def _runs(resources: Mapping[str, Any]) -> dict[str, float]:
    """How often a month each function is started by its schedules."""
    runs: dict[str, float] = {}
    for name, resource in resources.items():
        events = resource["Properties"].get("Events", {}) if resource["Type"] == "AWS::Serverless::Function" else {}
        for event in events.values():
            if event["Type"] == "ScheduleV2":
                runs[name] = runs.get(name, 0) + _a_month(event["Properties"]["ScheduleExpression"])
    return runs


def _a_month(schedule: str) -> float:
    if schedule.startswith("cron("):
        return 30.4  # all of them are daily
    number, unit = schedule.removeprefix("rate(").removesuffix(")").split()
    return 730 * 60 / (int(number) * (60 if unit.startswith("hour") else 1))


def memory_of(resources: Mapping[str, Any]) -> dict[str, int]:
    """Each function's MB."""
    functions = {name: one for name, one in resources.items() if one["Type"] == "AWS::Serverless::Function"}
    return {name: one["Properties"].get("MemorySize", 512) for name, one in functions.items()}


def template() -> dict[str, Any]:
    """The template's resources; CloudFormation's own tags are read as what they stand before."""

    class Loader(yaml.SafeLoader):
        """Knows `!Ref` and the like."""

    def plain(loader: Any, _: str, node: Any) -> Any:
        kind = {"scalar": loader.construct_scalar, "sequence": loader.construct_sequence}
        return kind.get(node.id, loader.construct_mapping)(node)

    Loader.add_multi_constructor("!", plain)
    text = (report.ROOT / "infra" / "template.yaml").read_text()
    resources: dict[str, Any] = yaml.load(text, Loader)["Resources"]
    return resources


def _price(name: str) -> float:
    return PRICES[name][0]


def _document(lines: list[Line], month: list[Line], scanned: Mapping[float, float], taken: Mapping[str, Step]) -> str:
    whole, ses, base = sum(line.dollars for line in lines), lines[0].dollars, sum(line.dollars for line in month)
    prices = "\n".join(f"| {what} | {_exactly(price)} | {page} |" for price, what, page in PRICES.values())
    assumed = "\n".join(f"| {what} | {number:g} |" for number, what in OFTEN.values())
    shares = "\n".join(f"| {scans:.3g} | {scans / (1 + scans):.0%} | {ratio:.2f} |" for scans, ratio in scanned.items())
    practices = "\n".join(
        f"| {surveys:,} | ${base:.2f} | ${surveys / 1000 * whole:.2f} | ${base + surveys / 1000 * whole:.2f} "
        f"| {(base + surveys / 1000 * whole) / surveys * 100:.2f} ¢ |"
        for surveys in (300, 1_000, 10_000, 100_000)
    )
    within = whole - sum(line.dollars for line in lines if line.name in FREE_FOR_EVER)
    often = sorted(how_often().items(), key=lambda item: -item[1] * taken[item[0]].wru)
    written = "\n".join(
        f"| {name} | {times / SURVEYS:.3g} | {taken[name].wru:.3g} | {times / SURVEYS * taken[name].wru:.2f} |"
        for name, times in often
        if times * taken[name].wru >= SURVEYS / 10
    )
    return f"""# What it costs

`make bench ONLY=cost` computes this page from metered units and from the list prices below. It leaves out every free
tier, so that it holds for an account that has used them up.

**A thousand surveys cost ${whole:.3f}, {whole / ses:.2f} times what SES alone takes for their {mails():,.0f} mails**
(reminders, review requests and alerts among them), and {within / ses:.2f} times below {_free_until(lines):,.0f} surveys
a month, where what Lambda and the logs take stays within the tiers that are free for ever. A month of the stack costs
${base:.2f} before the first survey.

| surveys a month | fixed | variable | together | a survey |
|---:|---:|---:|---:|---:|
{practices}

## A thousand surveys

{_bill(lines, whole)}
![US cents for a thousand surveys, by line](images/cost.svg)

Free at any size: {FREE}.
What is stored adds about 4 KB a survey, ${4e-3 * _price("stored"):.4f} a month for a thousand of them, with recovery to
any second of the last 35 days.

Where the writes go, for one survey:

| step | times | WRU each | WRU |
|---|---:|---:|---:|
{written}

Scanners that open links decide what the pages cost. Published estimates of their share of all clicks go from 5 to 60 %;
the upper end is assumed. The last line is every link of every mail:

| scanners' visits for each of a patient's | share of all clicks | variable cost ÷ SES's own |
|---:|---:|---:|
{shares}

## A month without a survey

{_bill(month, base)}
## Other products

What they charge is not public, or was not to be found in {PRICES_OF}: Delighted and SatisMeter count surveys that are
sent or shown, Nicereply counts answers, and Podium, Birdeye and WebPT Reach name a price in a conversation. So compare
with an offer in hand: an offer of $X a month is dearer than this for any practice that sends fewer than
(X − {base:.2f}) × {1000 / whole:,.0f} surveys a month; for $100 that is {(100 - base) / whole * 1000:,.0f} of them.

## Assumptions

How often, for one survey:

| what | number |
|---|---:|
{assumed}

And: {CALL_SECONDS * 1000:.0f} ms of waiting for each call of DynamoDB and {SES_SECONDS * 1000:.0f} ms for SES, cold
starts as measured in [performance.md](performance.md), {LOG_BYTES} bytes of log for each invocation, the CPU time
measured on the bench's machine divided by the function's share of a processor, and sending at {RATE:g} a second, which
is 0.97 of the rate of a new SES account.

## Prices

US dollars in us-east-1, {PRICES_OF}:

| what | $ | page |
|---|---:|---|
{prices}
"""


def _exactly(price: float) -> str:
    return f"{price:.10f}".rstrip("0").rstrip(".")


def _bill(lines: Iterable[Line], whole: float) -> str:
    rows = "\n".join(
        f"| {line.name} | ${line.dollars:.4f} | {line.dollars / whole:.0%} | {line.of_what} |" for line in lines
    )
    return f"| line | $ | share | |\n|---|---:|---:|---|\n{rows}\n| **together** | **${whole:.4f}** | | |\n"
