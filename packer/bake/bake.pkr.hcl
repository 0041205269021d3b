# Bakes an image by the playbook kiln.unikernel.pipeline, boots it for a test, signs it, and makes its
# files artifacts of Packer:
#
#   packer build -var pipeline=redis.yml -var name=redis packer/bake
#
# Nothing has to be installed in a guest, so the source is "null": the bake happens here.

source "null" "kiln" {
  communicator = "none"
}

locals {
  files = [for format in var.formats : "${var.output}/${var.name}.${format}"]

  pipeline = jsonencode({
    pipeline_name    = var.name
    pipeline_formats = var.formats
    pipeline_kinds   = var.targets
    pipeline_output  = abspath(var.output)
    pipeline_stages  = var.check ? ["boot", "sign"] : ["sign"]
  })
}

build {
  name    = "bake"
  sources = ["source.null.kiln"]

  provisioner "shell-local" {
    environment_vars = ["FILE=${var.pipeline}", "VARIABLES=${local.pipeline}"]
    inline           = ["ansible-playbook kiln.unikernel.pipeline -e @\"$FILE\" -e \"$VARIABLES\""]
  }

  # The checksums would be added to those of the last time.
  provisioner "shell-local" {
    environment_vars = ["FILE=${var.output}/SHA256SUMS"]
    inline           = ["rm -f \"$FILE\""]
  }

  post-processors {
    post-processor "artifice" {
      files = local.files
    }

    post-processor "checksum" {
      checksum_types = ["sha256"]
      output         = "${var.output}/SHA256SUMS"
    }

    post-processor "manifest" {
      output      = "${var.output}/manifest.json"
      custom_data = { kiln_inputs = var.kiln_inputs }
    }
  }
}
