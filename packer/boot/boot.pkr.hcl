# Boots a baked disk in Packer's own QEMU and reads on its console whether it answered well. This is
# for an image whose program checks itself and ends, for the machine must power itself off:
#
#   packer build -var disk=output/check.qcow2 packer/boot
#
# A server, which never ends, is tried by the bake (pipeline_boot.wait_for) instead.

variable "disk" {
  type        = string
  description = "Path of the disk, in qcow2."
}

variable "sha256" {
  type        = string
  default     = "none"
  description = "The disk's SHA-256, as \"sha256:…\" or as \"file:…\" with a list of checksums."
}

variable "answer" {
  type        = string
  default     = "kiln: exit status 0"
  description = "A line that the console must hold, in full."
}

variable "memory" {
  type        = number
  default     = 128
  description = "Memory of the machine in MiB."
}

variable "cpus" {
  type        = number
  default     = 1
  description = "How many CPUs it has."
}

variable "accelerator" {
  type        = string
  default     = "tcg"
  description = "QEMU's accelerator; kvm where a guest runs with it."
}

variable "timeout" {
  type        = string
  default     = "2m"
  description = "How long the machine has until it must have powered itself off."
}

variable "output" {
  type        = string
  default     = "booted"
  description = "Folder for the copy of the disk and the manifest; it must not be there. The console is beside it."
}

variable "kiln_inputs" {
  type        = string
  default     = ""
  description = "Digest of all inputs, which the module packer_build gives and looks for in the manifest."
}

source "qemu" "kiln" {
  accelerator      = var.accelerator
  disk_image       = true
  iso_url          = var.disk
  iso_checksum     = var.sha256
  format           = "qcow2"
  skip_resize_disk = true
  skip_compaction  = true
  communicator     = "none"
  disable_vnc      = true
  headless         = true
  memory           = var.memory
  cpus             = var.cpus
  disk_interface   = "virtio"
  net_device       = "virtio-net"
  vm_name          = "disk.qcow2"
  output_directory = var.output
  shutdown_timeout = var.timeout

  # The firmware waits 3 s for a key before it boots. Packer asks for 2 s whether QEMU has failed at
  # once, and of a machine that has powered itself off by then it may miss the end and wait for the
  # whole time-out (Packer 1.6.6, builder/qemu/driver.go, Qemu and WaitForShutdown).
  qemuargs = [
    ["-serial", "file:${var.output}.console"],
    ["-boot", "order=c,menu=on,splash-time=3000"],
  ]
}

build {
  name    = "boot"
  sources = ["source.qemu.kiln"]

  post-processors {
    post-processor "shell-local" {
      environment_vars = ["CONSOLE=${var.output}.console", "ANSWER=${var.answer}"]

      inline = [
        "tr -d '\\r' < \"$CONSOLE\" | grep -qxF -e \"$ANSWER\" || { tail -n 20 \"$CONSOLE\" >&2; echo \"the console does not say: $ANSWER\" >&2; exit 1; }",
      ]
    }

    post-processor "manifest" {
      output      = "${var.output}/manifest.json"
      custom_data = { kiln_inputs = var.kiln_inputs }
    }
  }
}
