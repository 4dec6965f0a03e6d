/* SPDX-License-Identifier: Apache-2.0 */
/* The module ``tidegate.liquid.native``: cells.h for Python. compiled.py is its only user. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "cells.h"

#define NAME "tidegate.liquid.native.cell"
#define HELD 3

typedef struct {
    PyObject *parameters[HELD]; /* bytes: nobody can change what was found to fit */
    double *scratch;            /* for one step at a time: who steps holds the interpreter's lock */
    size_t inputs;
    size_t neurons;
    int closed_form;
    union {
        ltc ltc;
        cfc cfc;
    } as;
} held_cell;

static void forget(PyObject *capsule)
{
    held_cell *held = PyCapsule_GetPointer(capsule, NAME);
    for (int i = 0; i < HELD; i++) {
        Py_DECREF(held->parameters[i]);
    }
    PyMem_Free(held->scratch);
    PyMem_Free(held);
}

/* A capsule of the cell, if it ``fits`` and ``memory`` for its step could be had. */
static PyObject *hold(const held_cell *made, int fits, size_t memory)
{
    if (fits == 0) {
        PyErr_SetString(PyExc_ValueError, "a source, target or layer lies outside the network");
        return NULL;
    }
    held_cell *held = PyMem_Malloc(sizeof(held_cell));
    double *scratch = PyMem_Calloc(memory, sizeof(double));
    PyObject *capsule = ((held != NULL) && (scratch != NULL)) ? PyCapsule_New(held, NAME, forget) : PyErr_NoMemory();
    if (capsule == NULL) {
        PyMem_Free(scratch);
        PyMem_Free(held);
        return NULL;
    }
    *held = *made;
    held->scratch = scratch;
    for (int i = 0; i < HELD; i++) {
        Py_INCREF(held->parameters[i]);
    }
    return capsule;
}

/* How many of ``size`` bytes each there are in ``parameters``; ``*whole`` becomes 0 where some bytes are over. */
static size_t count(PyObject *parameters, size_t size, int *whole)
{
    const size_t bytes = (size_t)PyBytes_GET_SIZE(parameters);
    *whole &= ((bytes % size) == 0) ? 1 : 0;
    return bytes / size;
}

/* Synapses as ``parameters`` hold them: one column after the other, in the order of the structure. */
static synapses columns(PyObject *parameters, size_t neurons, int *whole)
{
    const size_t numbers = count(parameters, sizeof(double), whole);
    *whole &= ((numbers >= neurons) && (((numbers - neurons) % 5) == 0)) ? 1 : 0;
    synapses found = {.count = (*whole != 0) ? ((numbers - neurons) / 5) : 0};
    found.end = (const void *)PyBytes_AS_STRING(parameters);
    found.source = &found.end[neurons];
    found.slope = (const double *)&found.source[found.count];
    found.shift = &found.slope[found.count];
    found.weight = &found.shift[found.count];
    found.current = &found.weight[found.count];
    return found;
}

static PyObject *make_ltc(PyObject *module, PyObject *arguments)
{
    (void)module;
    held_cell made = {.closed_form = 0};
    PyObject **given = made.parameters;
    Py_ssize_t inputs = 0;
    Py_ssize_t substeps = 0;
    int midpoint = 0;
    if (PyArg_ParseTuple(arguments, "nnpSSS", &inputs, &substeps, &midpoint, &given[0], &given[1], &given[2]) == 0) {
        return NULL;
    }
    int whole = ((inputs >= 0) && (substeps >= 0)) ? 1 : 0;
    ltc *cell = &made.as.ltc;
    made.inputs = cell->inputs = (size_t)inputs;
    made.neurons = cell->neurons = count(given[0], sizeof(membrane), &whole);
    cell->substeps = (size_t)substeps;
    cell->midpoint = midpoint;
    cell->membranes = (const void *)PyBytes_AS_STRING(given[0]);
    cell->sensory = columns(given[1], cell->neurons, &whole);
    cell->recurrent = columns(given[2], cell->neurons, &whole);
    return hold(&made, ((whole != 0) && (ltc_fits(cell) != 0)) ? 1 : 0, ltc_scratch(cell));
}

static PyObject *make_cfc(PyObject *module, PyObject *arguments)
{
    (void)module;
    held_cell made = {.closed_form = 1};
    PyObject **given = made.parameters;
    Py_ssize_t inputs = 0;
    if (PyArg_ParseTuple(arguments, "nSSS", &inputs, &given[0], &given[1], &given[2]) == 0) {
        return NULL;
    }
    int whole = (inputs >= 0) ? 1 : 0;
    cfc *cell = &made.as.cfc;
    made.inputs = cell->inputs = (size_t)inputs;
    made.neurons = cell->neurons = count(given[0], sizeof(*cell->bias), &whole);
    cell->reading_count = count(given[1], sizeof(reading), &whole);
    cell->layer_count = count(given[2], sizeof(layer), &whole);
    cell->bias = (void *)PyBytes_AS_STRING(given[0]);
    cell->readings = (const void *)PyBytes_AS_STRING(given[1]);
    cell->layers = (const void *)PyBytes_AS_STRING(given[2]);
    return hold(&made, ((whole != 0) && (cfc_fits(cell) != 0)) ? 1 : 0, cfc_scratch(cell));
}

/* Fills ``view``, to be released, if ``array`` holds ``length`` doubles in a row; else 0 with an exception set. */
static int view_numbers(PyObject *array, size_t length, int access, Py_buffer *view)
{
    if (PyObject_GetBuffer(array, view, access | PyBUF_FORMAT) != 0) {
        return 0;
    }
    if ((strcmp(view->format, "d") != 0) || ((size_t)view->len != (length * sizeof(double)))) {
        (void)PyErr_Format(PyExc_ValueError, "%zd bytes of format '%s' where the network has %zu doubles", view->len,
                           view->format, length);
        PyBuffer_Release(view);
        return 0;
    }
    return 1;
}

static PyObject *step(PyObject *module, PyObject *const *arguments, Py_ssize_t given)
{
    (void)module;
    if (given != 5) {
        return PyErr_Format(PyExc_TypeError, "step takes cell, inputs, state, time, after; there were %zd", given);
    }
    const held_cell *held = PyCapsule_GetPointer(arguments[0], NAME);
    if (held == NULL) {
        return NULL;
    }
    const double time = PyFloat_AsDouble(arguments[3]);
    if ((time == -1.0) && (PyErr_Occurred() != NULL)) {
        return NULL;
    }
    Py_buffer views[3];
    int viewed = 0;
    if (view_numbers(arguments[1], held->inputs, PyBUF_SIMPLE, &views[0]) != 0) {
        viewed = 1;
        if (view_numbers(arguments[2], held->neurons, PyBUF_SIMPLE, &views[1]) != 0) {
            viewed = 2;
            if (view_numbers(arguments[4], held->neurons, PyBUF_WRITABLE, &views[2]) != 0) {
                viewed = 3;
            }
        }
    }
    if (viewed == 3) {
        double *after = views[2].buf;
        memmove(after, views[1].buf, held->neurons * sizeof(double));
        if (held->closed_form != 0) {
            cfc_step(&held->as.cfc, views[0].buf, after, time, held->scratch);
        } else {
            ltc_step(&held->as.ltc, views[0].buf, after, time, held->scratch);
        }
    }
    for (int i = 0; i < viewed; i++) {
        PyBuffer_Release(&views[i]);
    }
    return (viewed == 3) ? Py_NewRef(Py_None) : NULL;
}

static PyObject *layout(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    return PyLong_FromLong(LAYOUT);
}

static PyMethodDef functions[] = {
    {"ltc", make_ltc, METH_VARARGS,
     "ltc(inputs, substeps, midpoint, membranes, sensory, recurrent): a cell, of the structures' bytes"},
    {"cfc", make_cfc, METH_VARARGS, "cfc(inputs, bias, readings, layers): a cell, of the structures' bytes"},
    {"step", (PyCFunction)(void (*)(void))step, METH_FASTCALL, "step(cell, inputs, state, time, after): fills after"},
    {"layout", layout, METH_NOARGS, "layout(): number of the layout of the structures"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "native", .m_methods = functions};

PyMODINIT_FUNC PyInit_native(void)
{
    return PyModuleDef_Init(&definition);
}
