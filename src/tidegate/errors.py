# SPDX-License-Identifier: Apache-2.0
"""Errors that a user can meet: one base, one class per cause, each message names what, where and what is allowed."""

from __future__ import annotations


class TidegateError(Exception):
    """Base of every error that tidegate raises on purpose; the command line prints it in one line and exits with 2."""


class SettingsError(TidegateError, ValueError):
    """A settings file has an unknown key, a wrong type or a value out of range."""


class RobotError(TidegateError, ValueError):
    """A robot description (URDF, xacro) is missing something or contradicts the settings."""


class BundleError(TidegateError, ValueError):
    """A model bundle is missing, corrupt, too new, or made for another robot."""


class ConversionError(TidegateError, ValueError):
    """A network cannot be expressed in the other package; the message names the parameter or the synapse."""


class BagError(TidegateError, ValueError):
    """A bag cannot be read or written, lacks a topic, or is no time series."""


class DataError(TidegateError, ValueError):
    """Somebody else's data set cannot be read, is no time series, or says too little of the vehicle."""


class ImageError(TidegateError, ValueError):
    """An image has a size or an encoding that perception cannot use."""


class MessageError(TidegateError, ValueError):
    """A ROS message has a layout that its topic does not allow (missing fields or names, columns of other lengths)."""


class SceneError(TidegateError, ValueError):
    """A simulated scene cannot be built (unknown name, no road for the seed)."""


class DependencyError(TidegateError, ImportError):
    """An optional dependency or system library is absent; the message gives the command that installs it."""


class GraphError(TidegateError, RuntimeError):
    """The node graph did not come up, or one of its nodes ended by itself; the message names the node."""


class ClusterError(TidegateError, RuntimeError):
    """Workers of a campaign cannot be reached, or have something else than the campaign; the message names which."""


class ContractError(TidegateError, AssertionError):
    """A barrier does not keep what every barrier must; the message says what, where, and what was found instead."""


class ExportError(TidegateError, ValueError):
    """An export has an unknown target, would overwrite something, or is of a network that the target cannot hold."""
