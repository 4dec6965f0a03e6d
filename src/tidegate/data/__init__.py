# SPDX-License-Identifier: Apache-2.0
"""Other people's data: read into one intermediate form, ``Recording``, and written as the bags that training reads.

A reader (``tub``, ``topics``, ``lerobot``) tells what was recorded; ``motion`` makes SI units of it by what the map
(``mapping``) says of the vehicle; ``series`` refuses what is no time series; ``bags`` writes. The other way
``lerobot_export`` makes episodes of our bags, which ``lerobot_writer`` writes.
"""
