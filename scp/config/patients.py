"""Settings of patients: IDs that name nobody, and what happens to corrections."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

PLACEHOLDERS = (
    "UNKNOWN", "UNKN", "UNK", "UNBEKANNT", "INCONNU", "DESCONOCIDO",
    "ANONYMOUS", "ANONYMIZED", "ANONYMISED", "ANONYM", "ANON", "DEIDENTIFIED", "REMOVED",
    "NONE", "NULL", "NIL", "N/A", "NA", "N.N.", "NO ID", "NO PATIENT ID", "NOT AVAILABLE",
    "NOT KNOWN", "NOT SPECIFIED", "UNDEFINED", "NO NAME", "MISSING", "EMPTY", "NAN", "TBD",
    "PATIENT", "PATIENT ID", "PATIENTID", "ID", "PID", "TEST", "TEST PATIENT", "TESTPATIENT",
    "DUMMY", "DEMO", "TEMP", "EMERGENCY", "NOTFALL", "TRAUMA", "QC", "PHANTOM",
    "X...", "0...", "11111...", "99999...",
    "12345", "123456", "1234567", "12345678", "123456789", "1234567890",
)  # fmt: skip


class PatientsSettings(BaseModel):
    """Whose film is whose."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    placeholders: tuple[str, ...] = Field(
        PLACEHOLDERS,
        description="Patient IDs that identify nobody: their films have no prior, and no PACS is"
        ' asked for one. Case, spaces and punctuation do not matter; "99999..." is five or more'
        " nines. An ID without a letter or digit never identifies anybody",
    )
    corrections: Literal["accept", "refuse"] = Field(
        "accept",
        description="a film that is sent again with the same pixels and another patient, accession"
        ' number or date: "accept" accepts it as a correction from anybody who may send'
        ' here; "refuse" answers 0x0111 and keeps it in quarantine',
    )
