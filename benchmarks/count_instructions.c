/* SPDX-License-Identifier: Apache-2.0 */
/* Plugin of qemu-user (its API 1, as in QEMU 7.2) that counts the instructions of the guest and tells them on stderr at
   its end. Debian 12 has no qemu-plugin.h, so what is used of it is declared here. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*call)(qemu_plugin_id_t id, struct qemu_plugin_tb *block));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, void (*call)(unsigned cpu, void *data),
                                          int flags, void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*call)(qemu_plugin_id_t id, void *data), void *data);

int qemu_plugin_version = 1;

static _Atomic uint64_t executed; /* the guest may have several threads */

static void enter(unsigned cpu, void *instructions)
{
    (void)cpu;
    atomic_fetch_add_explicit(&executed, (uintptr_t)instructions, memory_order_relaxed);
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, enter, 0, (void *)qemu_plugin_tb_n_insns(block));
}

static void end(qemu_plugin_id_t id, void *data)
{
    (void)id;
    (void)data;
    (void)fprintf(stderr, "%" PRIu64 "\n", executed);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int count, char **arguments)
{
    (void)info;
    (void)count;
    (void)arguments;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_atexit_cb(id, end, NULL);
    return 0;
}
