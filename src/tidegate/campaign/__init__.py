# SPDX-License-Identifier: Apache-2.0
"""Many drives on many processes or machines, in one table; docs/campaign.md."""
