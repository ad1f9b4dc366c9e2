FROM scratch
ENV a=${x:-1} b=${x:+1} c=${x#p} d=${x%p} e=${x/a/b}
