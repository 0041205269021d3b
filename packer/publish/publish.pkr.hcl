# Publishes what packer/bake has baked, by the collection's own roles: Packer's importers of disks
# call ImportImage, which refuses every guest that it does not know.
#
#   packer build -var pipeline=redis.yml -var name=redis -var 'targets=["ec2"]' packer/publish

variable "pipeline" {
  type        = string
  description = "File of variables of the role pipeline (YAML)."
}

variable "name" {
  type        = string
  description = "Name of the image."
}

variable "formats" {
  type        = list(string)
  default     = ["raw", "qcow2"]
  description = "Formats of the disk, as in the bake, for the image is the same then."
}

variable "targets" {
  type        = list(string)
  description = "Kinds of targets, of those in the pipeline's file: ec2, vsphere, virtualbox."
}

source "null" "kiln" {
  communicator = "none"
}

locals {
  pipeline = jsonencode({
    pipeline_name    = var.name
    pipeline_formats = var.formats
    pipeline_kinds   = var.targets
    pipeline_stages  = ["publish", "promote"]
  })
}

build {
  name    = "publish"
  sources = ["source.null.kiln"]

  provisioner "shell-local" {
    environment_vars = ["FILE=${var.pipeline}", "VARIABLES=${local.pipeline}"]
    inline           = ["ansible-playbook kiln.unikernel.pipeline -e @\"$FILE\" -e \"$VARIABLES\""]
  }
}
