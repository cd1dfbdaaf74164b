"""The practice's files: taken in, refused, or in part, and always with a report."""

import io
import json
import zipfile

import pytest

from local.intake import Intake, import_in_words, preview_in_words
from tests.integration.practice import Practice, at, at_once, evaluation, eventually, someone, table, visit

PATIENTS = "patient_id,first_name,last_name,email,clinic_id"
VISITS = "visit_id,patient_id,case_id,clinic_id,started_at,kind,status"
REPORT = {"status", "kind", "rows", "created", "updated", "unchanged", "refused", "errors"}


def figures(report):
    """Status and kind, then rows, created, updated, unchanged, refused."""
    assert set(report) >= REPORT
    assert len(report["errors"]) >= min(report["refused"], 1)
    return tuple(report[name] for name in ("status", "kind", "rows", "created", "updated", "unchanged", "refused"))


class TestGoodFiles:
    def test_the_report_counts_what_was_created_updated_and_unchanged(self, practice):
        people = [someone() for _ in range(3)]
        assert figures(practice.upload(table([p.row for p in people]))) == ("accepted", "patients", 3, 3, 0, 0, 0)
        rows = [people[0].row | {"last_name": "New"}, people[1].row, someone().row]
        assert figures(practice.upload(table(rows))) == ("accepted", "patients", 3, 1, 1, 1, 0)
        visits = [evaluation(person, at("2026-03-02")) for person in people]
        assert figures(practice.upload(table(visits))) == ("accepted", "visits", 3, 3, 0, 0, 0)
        changed = [visits[0] | {"status": "cancelled"}, *visits[1:]]
        assert figures(practice.upload(table(changed))) == ("accepted", "visits", 3, 0, 1, 2, 0)

    def test_the_same_files_twice_change_nothing_in_any_table(self, practice):
        people = [someone() for _ in range(5)]
        rows = [evaluation(person, at("2026-03-02")) for person in people]
        rows += [visit(people[0], at(f"2026-03-{day:02}")) for day in (3, 4, 5, 6, 9, 10)]
        files = [table([person.row for person in people]), table(rows)]
        for text in files:
            practice.upload(text, f"twice-{len(text)}.csv")
        practice.send(at("2026-03-02", "16:00"))
        before = practice.dump()
        for text in files:
            again = practice.upload(text, f"twice-{len(text)}.csv")  # under the same name
            assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, again["rows"])
            assert practice.upload(text)["unchanged"] == again["rows"]  # and under another
        assert practice.dump() == before

    def test_an_older_file_after_a_newer_one_changes_nothing(self, practice):
        person = someone()
        newer = person.row | {"last_name": "New", "updated_at": "2026-03-02T10:00:00Z"}
        older = person.row | {"last_name": "Old", "email": "old@patients.example", "updated_at": "2026-03-01T10:00:00Z"}
        practice.upload(table([newer]))
        seen = evaluation(person, at("2026-03-02"), updated_at="2026-03-02T18:00:00Z")
        planned = seen | {"status": "scheduled", "updated_at": "2026-03-01T18:00:00Z"}
        practice.upload(table([seen]))
        before = practice.dump()
        assert figures(practice.upload(table([older]))) == ("accepted", "patients", 1, 0, 0, 1, 0)
        assert figures(practice.upload(table([planned]))) == ("accepted", "visits", 1, 0, 0, 1, 0)
        assert practice.dump() == before

    def test_columns_come_in_any_order_and_case_with_others_between(self, practice):
        person = someone()
        header = " EMAIL ,Diagnosis,Clinic_ID,Last_Name,first_name,Patient_Id"
        text = f"{header}\n{person.email},M54.5,main,O,Zoë,{person.patient_id}\n"
        assert figures(practice.upload(text)) == ("accepted", "patients", 1, 1, 0, 0, 0)
        assert "M54.5" not in str(practice.dump())

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_names_survive_what_spreadsheets_write(self, practice, encoding, end):
        person = someone()
        text = f'{PATIENTS}\n{person.patient_id},José,"Núñez, jr.",{person.email},main\n'
        assert practice.upload(text.replace("\n", end).encode(encoding))["created"] == 1
        practice.export([], [evaluation(person, at("2026-03-02"))])
        practice.send(at("2026-03-02", "16:00"))
        assert "José" in practice.mail(person).text

    def test_names_are_words_in_mails_and_on_pages_whatever_they_hold(self, practice):
        [mail] = practice.asked(someone("<script>alert(1)</script>\u202e"))
        assert "<script" not in mail.html
        assert "\u202e" not in mail.html + mail.text + mail.subject

    @pytest.mark.parametrize("name", ["2026/march/visits.csv", "Über Ärzte +1 & 50%.csv", "no extension"])
    def test_the_report_bears_the_full_name_of_the_file(self, practice, name):
        assert practice.upload(table([someone().row]), name)["status"] == "accepted"

    def test_a_header_alone_is_a_file_without_rows(self, practice):
        assert figures(practice.upload(PATIENTS + "\n")) == ("accepted", "patients", 0, 0, 0, 0, 0)


class TestBadFiles:
    def test_bad_rows_are_refused_by_line_and_column_and_the_rest_goes_in(self, practice):
        first, second, third = someone(), someone(), someone()
        good = [f'{p.patient_id},"Ada\nMaria",O,{p.email},main' for p in (first, second, third)]  # two lines each
        bad = ["bad-1,Ada,O,not an address,main", "bad-2,Ada,O,a@b.example,", "bad-3,Ada,O,c@d.example,main,x,y"]
        lines = [PATIENTS, good[0], bad[0], bad[1], good[1], bad[2], good[2]]
        report = practice.upload("\r\n".join(lines) + "\r\n", "bad rows.csv")
        assert figures(report) == ("partial", "patients", 6, 3, 0, 0, 3)
        assert [(error["line"], error["column"]) for error in report["errors"]] == [
            (4, "email"),
            (5, "clinic_id"),
            (8, ""),
        ]
        assert all(error["reason"] for error in report["errors"])
        assert "not an address" not in str(report)  # reports travel further than files

        rejected = (practice.stored("rejected/bad rows.csv") or b"").splitlines()
        assert rejected[0] == f"{PATIENTS},reason".encode()
        assert [line.startswith(row.encode()) for line, row in zip(rejected[1:], bad, strict=True)] == [True] * 3
        known = {patient["patient_id"] for patient in practice.items("PatientsTable")}
        assert {first.patient_id, second.patient_id, third.patient_id} <= known
        assert not {"bad-1", "bad-2", "bad-3"} & known

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("started_at", "yesterday"),
            ("started_at", ""),
            ("started_at", "2026-13-45T10:00"),
            ("kind", "massage"),
            ("status", "maybe"),
            ("visit_id", ""),
            ("patient_id", ""),
            ("ended_at", "2020-01-01T00:00:00Z"),
        ],
    )
    def test_a_visit_that_makes_no_sense_is_refused_alone(self, practice, column, value):
        person = someone()
        rows = [evaluation(person, at("2026-03-02")), visit(person, at("2026-03-03")) | {column: value}]
        report = practice.upload(table(rows))
        assert (report["status"], report["created"], report["refused"]) == ("partial", 1, 1)
        [error] = report["errors"]
        assert (error["line"], error["column"]) == (3, column)

    def test_a_stray_quotation_mark_costs_one_row(self, practice):
        people = [someone() for _ in range(20)]
        lines = [PATIENTS, *(",".join(person.row.values()) for person in people)]
        lines[5] = f'{people[4].patient_id},"Ada,O,{people[4].email},main'
        report = practice.upload("\n".join(lines) + "\n")
        assert (report["status"], report["created"], report["refused"]) == ("partial", 19, 1)
        assert report["errors"][0]["line"] == 6

    @pytest.mark.parametrize("content", ["hello", "name,colour\nAda,blue\n", "ISA*00*~\r"])
    def test_an_unknown_file_is_refused_with_what_was_looked_for(self, practice, content):
        report = practice.upload(content)
        assert (report["status"], report["created"]) == ("refused", 0)
        assert "patient_id" in report["errors"][0]["reason"]

    @pytest.mark.parametrize("content", [b"", b"\n\n\n", b"\xff\xd8\xff\xe0JFIF" + bytes(range(256)) * 40, b"\0" * 999])
    def test_what_is_no_text_is_refused(self, practice, content):
        report = practice.upload(content)
        assert (report["status"], report["created"]) == ("refused", 0)
        assert report["errors"][0]["reason"]

    def test_a_zip_named_csv_is_refused(self, practice):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("patients.csv", table([someone().row]))
        report = practice.upload(packed.getvalue(), "patients.csv")
        assert (report["status"], report["created"]) == ("refused", 0)

    def test_a_file_that_lacks_a_column_is_told_which(self, practice):
        report = practice.upload(
            "visit_id,patient_id,case_id,clinic_id,started_at,kind\nv,p,c,main,2026-03-02,treatment\n"
        )
        assert report["status"] == "refused"
        assert "status" in report["errors"][0]["reason"]

    def test_nothing_but_bad_rows_is_no_success(self, practice):
        report = practice.upload(f"{VISITS}\nv,p,c,main,never,treatment,completed\n")
        assert report["status"] != "accepted"
        assert (report["created"], report["refused"]) == (0, 1)

    def test_every_row_is_counted_somewhere(self, practice):
        person = someone()
        rows = [person.row, person.row, person.row | {"email": "x"}, someone().row, person.row | {"patient_id": ""}]
        report = practice.upload(table(rows))
        assert report["rows"] == sum(report[name] for name in ("created", "updated", "unchanged", "refused")) == 5


class TestSettings:
    def test_clinics_are_accepted_under_settings_only(self, practice):
        text = "clinic_id,name\nelsewhere,Elsewhere\n"
        assert practice.upload(text)["status"] == "refused"
        assert practice.upload(text, "clinics.csv", "settings/")["status"] == "accepted"
        assert practice.upload(table([someone().row]), "patients.csv", "settings/")["status"] == "refused"

    def test_a_clinics_settings_reach_mails_and_pages(self, practice):
        clinic = practice.new_clinic(phone="(555) 010-7788", review_links="Google=https://g.page/r/x")
        [mail] = practice.asked(someone(clinic_id=clinic))
        assert f"Clinic {clinic}" in mail.text
        assert "(555) 010-7788" in mail.text
        thanks = practice.answer(mail, 2)
        assert 'href="https://g.page/r/x"' in thanks.body
        assert "(555) 010-7788" in thanks.text

    def test_settings_that_make_no_sense_are_refused_and_the_old_ones_stay(self, practice):
        clinic = practice.new_clinic(time_zone="America/Los_Angeles")
        for column, value in [
            ("time_zone", "Mars/Olympus"),
            ("admin_emails", "nobody"),
            ("review_links", "http://insecure.example"),
            ("review_links", "javascript:alert(1)"),
            ("send_from", "25:00"),
            ("send_days", "Someday"),
        ]:
            report = practice.upload(
                table([{"clinic_id": clinic, "name": "Broken", column: value}]), "broken.csv", "settings/"
            )
            assert (report["refused"], report["errors"][0]["column"]) == (1, column)
        assert "Broken" not in str(practice.items("SettingsTable"))


class TestPreviews:
    def test_a_preview_tells_what_an_import_would_do_and_mails_nobody(self, practice, tmp_path):
        person, nobody = someone(), someone(email="")
        practice.export([person, nobody])
        text = table([evaluation(person, at("2026-03-02")), evaluation(nobody, at("2026-03-02"))])
        path = tmp_path / "look first.csv"
        path.write_text(text + "broken,row\n")
        before = practice.dump()
        report = self.intake(practice).report_on(path, "preview/", print)
        assert (report["status"], report["rows"], report["refused"]) == ("partial", 3, 1)
        assert report["visits"] == {"new": 2, "changed": 0, "unchanged": 0}
        assert report["touchpoints"] == {"new": 2, "moved": 0, "withdrawn": 0}
        assert report["mails"]["not_mailed"]  # the visits are of March
        assert practice.dump() == before
        words = "\n".join(preview_in_words(report))
        assert "line 4" in words
        assert "visits" in words

    def test_the_same_file_is_imported_from_the_command_line(self, practice, tmp_path):
        person = someone()
        path = tmp_path / "people.csv"
        path.write_text(table([person.row]))
        report = self.intake(practice).report_on(path, "incoming/", print)
        assert "1 created" in "\n".join(import_in_words(report))
        assert person.patient_id in {patient["patient_id"] for patient in practice.items("PatientsTable")}

    @staticmethod
    def intake(practice: Practice) -> Intake:
        return Intake(practice.client("s3"), practice.bucket)


class TestLongImports:
    def test_an_import_that_was_left_lying_is_taken_up_by_the_sweep(self, practice):
        """What a killed invocation leaves: the file, and the note that its import has begun."""
        person = someone()
        name = practice.put(table([person.row]), "killed.csv", "elsewhere/")
        content = practice.stored(name) or b""
        practice.client("s3").put_object(Bucket=practice.bucket, Key="incoming/left.csv", Body=content)
        practice.report("left.csv")
        practice.client("s3").delete_object(Bucket=practice.bucket, Key="reports/left.csv.json")
        note = {"key": "incoming/left.csv", "version": "another", "attempts": 1}
        note |= {"began_at": "2026-03-02T15:00:00Z", "phase": 5, "part": "", "rows": 0, "refused": 0, "state": {}}
        practice.client("s3").put_object(
            Bucket=practice.bucket, Key="unfinished/left.csv.json", Body=json.dumps(note).encode()
        )
        practice.run("ImportVisitsFunction", at("2026-03-02"))
        assert practice.report("left.csv")["unchanged"] == 1
        eventually(lambda: practice.stored("unfinished/left.csv.json") is None, "the note is gone")

    def test_two_events_of_one_upload_are_both_done_with_and_leave_one_state(self, practice):
        name = practice.put(table([evaluation(someone(), at("2026-03-02")) for _ in range(40)]))
        practice.report(name)
        before = practice.dump()
        event = {"Records": [{"s3": {"bucket": {"name": practice.bucket}, "object": {"key": f"incoming/{name}"}}}]}
        at_once(*[lambda: practice.stack.invoke("ImportVisitsFunction", event)] * 2)
        assert practice.dump() == before
