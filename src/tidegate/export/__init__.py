# SPDX-License-Identifier: Apache-2.0
"""A bundle for other homes: one ONNX file, a C99 library, or a folder that needs NumPy alone."""
