# SPDX-License-Identifier: Apache-2.0
"""Other networks in the place of the liquid one: same pictures, lessons and roads. Nothing here drives a robot."""
