variable "pipeline" {
  type        = string
  description = "File of variables of the role pipeline (YAML): what is baked, and where it goes."
}

variable "name" {
  type        = string
  description = "Name of the image, which the files bear too."
}

variable "formats" {
  type        = list(string)
  default     = ["raw", "qcow2"]
  description = "Formats of the disk: raw, qcow2, vmdk, vdi, vhd."

  validation {
    condition     = length(var.formats) > 0
    error_message = "At least one of raw, qcow2, vmdk, vdi, vhd is wanted, since Packer needs a file to go on with."
  }
}

variable "targets" {
  type        = list(string)
  default     = []
  description = "Kinds of targets, of those in the pipeline's file, that packer/publish will publish to."
}

variable "check" {
  type        = bool
  default     = true
  description = "Whether the role boots the image as pipeline_boot in the file says."
}

variable "output" {
  type        = string
  default     = "output"
  description = "Folder for the image's files, their checksums and the manifest."
}

variable "kiln_inputs" {
  type        = string
  default     = ""
  description = "Digest of all inputs, which the module packer_build gives and looks for in the manifest."
}
