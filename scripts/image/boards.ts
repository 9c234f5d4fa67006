/** What differs from board to board; facts and sources in firmware-notes/. */
export interface Board {
  readonly title: string
  /** The firmware of a Raspberry Pi starts it from a FAT partition. */
  readonly firmware: boolean
  /** Serial console, as the kernel calls it. */
  readonly console: string
  /** Patterns of the device trees that the firmware chooses from. */
  readonly trees: readonly string[]
}

const pi = { firmware: true, console: 'ttyS1,115200' } as const

export const boards: Readonly<Record<string, Board>> = {
  rpi3: { ...pi, title: 'Raspberry Pi 3B, 3B+, 3A+', trees: ['bcm2837-rpi-3-*.dtb'] },
  rpi4: { ...pi, title: 'Raspberry Pi 4B, 400', trees: ['bcm2711-rpi-4*.dtb'] },
  zero2w: { ...pi, title: 'Raspberry Pi Zero 2 W', trees: ['bcm2837-rpi-zero-2-w.dtb'] },
  generic: {
    title: 'any arm64 machine whose own firmware or boot loader starts /vmlinuz with /initrd.img',
    firmware: false,
    console: 'ttyAMA0',
    trees: [],
  },
}

/** Boards that this can not make an image for, and what to do. */
export const elsewhere: Readonly<Record<string, string>> = {
  rpi5: "the kernel of Debian 12 does not start a Raspberry Pi 5: install the vendor's system and our package, see firmware-notes/flashing.md",
}

/** Drivers that may be needed to find the root file system: SD cards, USB, virtual machines. */
export const modules = [
  ...['crc32c_generic', 'ext4', 'reset-raspberrypi', 'sdhci-iproc', 'bcm2835', 'mmc_block'],
  ...['phy-generic', 'dwc2', 'xhci-plat-hcd', 'xhci-pci', 'uas', 'usb-storage', 'sd_mod'],
  ...['virtio_pci', 'virtio_mmio', 'virtio_blk', 'virtio_scsi'],
] as const
