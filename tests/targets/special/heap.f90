! SPDX-License-Identifier: MIT
! Allocates and releases arrays on known lines: tests/e2e/languages.c.
program heap
  implicit none
  integer :: i
  real(8), allocatable :: row(:), kept(:)
  do i = 1, 50
    allocate(row(1000 * i))
    row = i
    deallocate(row)
  end do
  allocate(kept(12345))
  kept = 1
  print '(i0)', int(sum(kept))
end program
