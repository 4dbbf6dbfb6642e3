"""Errors meant for the reader of a terminal: one line that names the thing and the remedy."""


class ResharpError(Exception):
    """A problem the user can fix. The message is one line and names the file or option at fault."""


class ImageError(ResharpError):
    """A picture that cannot be read or written."""


class ModelError(ResharpError):
    """A model folder, weights file or model configuration that cannot be used."""


class ConfigError(ResharpError):
    """A configuration with an unknown key or a value outside what is allowed."""


class DataError(ResharpError):
    """A folder of photographs that cannot be used for training or scoring."""


class TrainingError(ResharpError):
    """A run of training that must not go on."""


class OutputError(ResharpError):
    """A place that cannot be written to."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` is one of the ways in which numpy and torch say that memory has run out."""
    if isinstance(error, MemoryError):
        return True
    # torch has one type for GPUs and none for the CPU; its words tell, without importing it.
    signs = ("not enough memory", "DefaultCPUAllocator", "out of memory")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)
