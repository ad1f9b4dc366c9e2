# escape=`
FROM scratch
ENV a=`$x b=$y `

  c=C:\d
COPY a `
  b
