"""Write one table of a large practice to standard output, the same for the same arguments, in flat memory.

    python -m tests.histories --format fhir --patients 20000 > encounters.ndjson
    python -m tests.histories --format webpt --table Appointments --patients 20000 > appointments.csv

Formats and their tables: `python -m tests.histories --help`. Without `--table` it is the table with the visits, or for
HL7 the one batch of all messages; `--table all` puts all of FHIR's resources into one file. A patient has about seven
visits, each of which is two to three rows, resources or messages. There is one clinic, in New York like the practice
of the tests, so that no settings are needed for the times to be understood.
"""

import argparse
import sys
from random import Random

from tests.histories import FORMATS
from tests.histories.history import CLINICS, THERAPISTS, stories


def main() -> None:
    """Stream the table, patient by patient."""
    formats = {form.name: form for form in FORMATS}
    tables = "; ".join(f"{name}: {', '.join(form.tables)}" for name, form in formats.items())
    arguments = argparse.ArgumentParser(prog="python -m tests.histories", epilog=tables)
    arguments.add_argument("--format", choices=formats, required=True)
    arguments.add_argument("--patients", type=int, required=True)
    arguments.add_argument("--table", default="")
    arguments.add_argument("--seed", type=int, default=1)
    chosen = arguments.parse_args()
    form = formats[chosen.format]
    table = chosen.table or form.tables[0]
    if table not in form.tables and not (table == "all" and form.extension != "csv"):
        arguments.error(f"{form.name} has no table {table}")
    dice = Random(chosen.seed).randint
    clinics = CLINICS[:1]
    people = stories(chosen.patients, clinics, THERAPISTS, dice)
    for piece in form.stream(table, people, clinics, THERAPISTS, Random(chosen.seed)):
        sys.stdout.buffer.write(piece)


if __name__ == "__main__":
    main()
