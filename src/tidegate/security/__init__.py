# SPDX-License-Identifier: Apache-2.0
"""Against hostile files and networks: manifest and signature of a bundle, bounded readers, the SROS 2 policy."""
