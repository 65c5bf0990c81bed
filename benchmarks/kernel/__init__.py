"""What single functions of the kernel cost, without a stack."""
