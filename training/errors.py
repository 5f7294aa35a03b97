"""What stops a command of `training`; the text says what is wrong and what to do.

`TrainingError`
├── `BadBoxList` `BadFilmList` `BadMasks` `BadPairList` `BadReference`
│                                               a list, or a folder of masks, cannot be used
├── `BadSetting`                                a setting has no such name or value
├── `BundleExists` `NoPart` `NoRun` `OtherRun`  a folder holds what it must not, or not what it must
├── `NoPlots` `NoTeacher`                       a package is not installed
└── `NoWeights`                                 the initial weights are not to be had
"""


class TrainingError(Exception):
    """A command cannot go on."""


class BadFilmList(TrainingError, ValueError):
    """The list of films cannot be used; the text says why."""
