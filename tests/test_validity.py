"""Are all objects valid, whatever film came in? Judged by dicom3tools, DCMTK and PixelMed.

Each axis is gone through in full: SOP class and polarity by bits and sign, transfer syntaxes,
character sets, each attribute absent, odd values, what was found. Every film is decoded from
its own bytes, and every kind of object is made of it.
"""

import warnings
from pathlib import Path

import numpy as np
import pytest
from answers import CHARACTER_SETS, EVERYTHING, PIXELS, answers, not_analysed, prior_film, sent
from films import coded, made_uid, make_film_ds
from invented import comparison, everything_positive, prediction
from pydicom import Dataset, dcmread
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    SecondaryCaptureImageStorage,
)
from syntaxes import encoded
from validators import complaints, dciodvfy, dcmp2pgm, dcmpschk, dsrdump, pixelmed

from inference.film import NotAFilm, read_film
from scp.dimse.peers import TRANSFER_SYNTAXES
from scp.results.kinds import KINDS, NOT_ANALYSED, PRESENTATION_STATE
from scp.results.settings import ReportClass, ResultSettings

CR, DX = ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation
SC = SecondaryCaptureImageStorage
