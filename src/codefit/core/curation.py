from codefit.curate.settings import CurateSettings as CurateSettings  # moved here at integration
